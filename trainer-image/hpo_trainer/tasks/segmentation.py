"""Segmentation of slices or volumes by a U-Net, on whole images or patches, judged by the Dice coefficient of cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn

from hpo_trainer.config import SegmentationConfig
from hpo_trainer.data.augmentation import Extents, augment_pairs
from hpo_trainer.data.patches import holding, pad, random_patch, resident, training_image, whole_size
from hpo_trainer.data.resampling import resized
from hpo_trainer.data.segmentation import Sample, SegmentationData, load
from hpo_trainer.data.splits import NamedSplit
from hpo_trainer.device import to_device
from hpo_trainer.evaluation.segmentation import DiceByCase, dice_names
from hpo_trainer.loop import Learner, Metrics
from hpo_trainer.networks import optimizer, u_net
from hpo_trainer.networks.averaging import AveragedNetwork
from hpo_trainer.networks.mirroring import mirrored
from hpo_trainer.networks.network_input import NetworkInput
from hpo_trainer.networks.schedule import Schedule
from hpo_trainer.parallel.share import WHOLE, Share
from hpo_trainer.seeding import derive, generator
from hpo_trainer.tasks.losses import criterion

EVALUATION_BATCH = {2: 16, 3: 1}


class SegmentationLearner:
    """Trains a U-Net on images padded to one size, or on patches cut at random places anew in each epoch."""

    def __init__(self, config: SegmentationConfig, data: SegmentationData, seed: int, device: torch.device) -> None:
        self._config, self._seed, self._device, self._classes = config, seed, device, data.classes
        self.data = replace(data, train=())  # which are kept padded
        self._size = config.patch_size or whole_size((*data.train, *data.validation), config.depth)
        self._train = resident([training_image(sample, self._size) for sample in data.train], device)
        self._cases = by_case(data.validation)
        torch.manual_seed(derive(seed, "weights"))
        network = u_net(config, data.channels, len(data.classes)).to(device)
        self.optimizer = optimizer(
            network, config.optimizer, config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
        )
        self.model = prepared(network, self.optimizer, config)
        self._criterion = criterion(config.loss)
        self._extents = extents(config)
        self._schedule = Schedule(
            config.learning_rate, config.warmup_epochs, config.schedule_epochs, self.steps_per_epoch
        )

    @property
    def sides(self) -> Mapping[str, tuple[str, ...]]:
        return self.data.sides

    @property
    def network_input(self) -> NetworkInput:
        config = self._config
        step = 2 ** (config.depth - 1)
        return NetworkInput(
            config.axes,
            tuple(self._size),
            step,
            bool(config.patch_size),
            config.normalization,
            self.data.spacing,
            config.mirrored_axes,
        )

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self._train) / self._config.batch_size)

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("dice", *dice_names(self._classes), "validation_loss")

    def batches(self, epoch: int, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._train), generator=generator(self._seed, "order", epoch))
        cutting, augmenting = (
            generator(self._seed, *share.purpose(purpose, epoch)) for purpose in ("patches", "augmentation")
        )
        for batch in torch.split(order, self._config.batch_size):
            samples = [self._train[i] for i in share.of(batch).tolist()]
            pairs = [(sample.image, sample.mask) for sample in samples]
            if self._config.patch_size:
                pairs = [random_patch(sample, self._size, cutting) for sample in samples]
            images = to_device(torch.stack([image for image, _ in pairs]), self._device)
            masks = to_device(torch.stack([mask for _, mask in pairs]), self._device)
            if self._config.augmentation:
                images, masks = augment_pairs(images, masks, augmenting, self._extents)
            yield images, masks[: share.counted(batch)].long()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        value: Tensor = self._criterion(outputs, targets[:, None])
        return value

    def learning_rate(self, step: int) -> float:
        return self._schedule.at(step)

    def validate(self, poll: Callable[[], None]) -> Metrics:
        """``validation_loss`` is the mean over the cases of the loss over a whole case: no batch size comes in."""
        dice, total = DiceByCase(self._classes), 0.0
        for samples in self._cases:
            truth = torch.stack([sample.mask for sample in samples]).long()
            logits = self.logits(samples, poll)
            total += float(self.loss(logits, truth.to(self._device)))
            dice.add(logits.argmax(1).cpu(), truth)
        return dice.metrics() | {"validation_loss": total / len(self._cases)}

    def logits(self, samples: Sequence[Sample], poll: Callable[[], None]) -> Tensor:
        """(N, classes, *S) of the samples of one case, on the grid of their masks; the model is in evaluation mode."""
        batch = EVALUATION_BATCH[self._config.axes]
        return torch.cat([self._logits(part, poll) for part in parts(samples, batch)])

    def probabilities(self, samples: Sequence[Sample], poll: Callable[[], None]) -> Tensor:
        """(N, classes, *S) of the samples of one case, on the CPU."""
        return self.logits(samples, poll).cpu().softmax(1)

    def _logits(self, samples: Sequence[Sample], poll: Callable[[], None]) -> Tensor:
        poll()
        size = self._size
        if not self._config.patch_size:
            size = holding(samples[0].image.shape[1:], size, self.network_input.step)
        images = to_device(torch.stack([pad(sample, size)[0] for sample in samples]), self._device)
        predictor = mirrored(self.model, self._config.mirrored_axes)
        if self._config.patch_size:
            window: dict[str, Any] = {"sw_batch_size": 4, "overlap": 0.5, "mode": "gaussian"}
            padded = cast(Tensor, sliding_window_inference(images, self._size, predictor=predictor, **window))
        else:
            padded = predictor(images)
        for axis, length in enumerate(samples[0].image.shape[1:], start=2):
            padded = padded.narrow(axis, 0, length)
        return resized(padded, samples[0].mask.shape)


def prepared(network: nn.Module, optimizer: torch.optim.Optimizer, config: SegmentationConfig) -> nn.Module:
    """The model to train: gradients are clipped before each step, weights averaged after it, if they are to be."""
    if config.gradient_clipping > 0:
        optimizer.register_step_pre_hook(lambda *_: clip_gradients(network, config.gradient_clipping))
    if config.weight_averaging == 0:
        return network
    model = AveragedNetwork(network, config.weight_averaging)
    optimizer.register_step_post_hook(lambda *_: model.update())
    return model


def clip_gradients(network: nn.Module, norm: float) -> None:
    nn.utils.clip_grad_norm_(network.parameters(), norm)


def extents(config: SegmentationConfig) -> Extents:
    return Extents(
        rotation=config.rotation,
        shear=config.shear,
        scaling=config.scaling,
        translation=config.translation,
        mirror_axes=config.mirror_axes,
        elastic=config.elastic,
        noise=config.noise,
        blur=config.blur,
    )


def by_case(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples of each case, wherever they stand."""
    cases: dict[int, list[Sample]] = {}
    for sample in samples:
        cases.setdefault(sample.case, []).append(sample)
    return list(cases.values())


def parts(samples: Sequence[Sample], length: int) -> Iterator[Sequence[Sample]]:
    """``samples`` in consecutive parts of ``length``, the last one shorter."""
    for start in range(0, len(samples), length):
        yield samples[start : start + length]


def prepare(
    config: SegmentationConfig,
    data_dir: Path,
    seed: int,
    device: torch.device,
    poll: Callable[[], None],
    split: NamedSplit | None = None,
) -> tuple[Learner, str]:
    """The learner, and the fingerprint of its data set."""
    data = load(data_dir, config, poll, split)
    return SegmentationLearner(config, data, seed, device), data.fingerprint
