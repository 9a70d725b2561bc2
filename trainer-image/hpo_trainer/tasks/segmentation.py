"""Segmentation of slices or volumes by a U-Net, on whole images or patches, judged by the Dice coefficient of cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from monai.inferers.utils import sliding_window_inference
from monai.losses.dice import DiceCELoss, DiceLoss, GeneralizedDiceLoss
from monai.losses.focal_loss import FocalLoss
from torch import Generator, Tensor, nn
from torch.nn import functional

from hpo_trainer.config import SegmentationConfig
from hpo_trainer.data.augmentation import augment_pairs
from hpo_trainer.data.segmentation import Sample, SegmentationData, load
from hpo_trainer.device import to_device
from hpo_trainer.evaluation.segmentation import DiceByCase, dice_names
from hpo_trainer.loop import Learner, Metrics
from hpo_trainer.networks import optimizer, u_net
from hpo_trainer.seeding import derive, generator

EVALUATION_BATCH = {2: 16, 3: 1}
FOREGROUND_PATCHES = 0.5
"""Share of the patches that are centred on a foreground voxel, since most of a volume is background."""


class SegmentationLearner:
    """Trains a U-Net on images padded to one size, or on patches cut at random places anew in each epoch."""

    def __init__(self, config: SegmentationConfig, data: SegmentationData, seed: int, device: torch.device) -> None:
        self._config, self._seed, self._device, self._classes = config, seed, device, data.classes
        size = config.patch_size or whole_size((*data.train, *data.validation), config.depth)
        self.data = replace(data, train=())  # which are kept padded
        self._train = [pad(sample, size) for sample in data.train]
        self._cases = by_case(data.validation)
        self._size = size
        torch.manual_seed(derive(seed, "weights"))
        self.model: nn.Module = u_net(config, data.channels, len(data.classes)).to(device)
        self.optimizer = optimizer(self.model, config.optimizer, config.learning_rate, weight_decay=config.weight_decay)
        self._criterion = criterion(config.loss)

    @property
    def sides(self) -> Mapping[str, tuple[str, ...]]:
        return self.data.sides

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self._train) / self._config.batch_size)

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("dice", *dice_names(self._classes), "validation_loss")

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._train), generator=generator(self._seed, "order", epoch))
        cutting, augmenting = (generator(self._seed, purpose, epoch) for purpose in ("patches", "augmentation"))
        for chosen in torch.split(order, self._config.batch_size):
            pairs = [self._train[i] for i in chosen.tolist()]
            if self._config.patch_size:
                pairs = [random_patch(image, mask, self._size, cutting) for image, mask in pairs]
            images, masks = torch.stack([i for i, _ in pairs]), torch.stack([m for _, m in pairs])
            if self._config.augmentation:
                images, masks = augment_pairs(images, masks, augmenting)
            yield to_device(images, self._device), to_device(masks.long(), self._device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        value: Tensor = self._criterion(outputs, targets[:, None])
        return value

    def learning_rate(self, step: int) -> float:
        return self._config.learning_rate

    def validate(self, poll: Callable[[], None]) -> Metrics:
        """``validation_loss`` is the mean over the cases of the loss over a whole case: no batch size comes in."""
        dice, total = DiceByCase(self._classes), 0.0
        for samples in self._cases:
            truth = torch.stack([sample.mask for sample in samples]).long()
            logits = torch.cat(
                [self._logits(part, poll) for part in parts(samples, EVALUATION_BATCH[self._config.axes])]
            )
            total += float(self.loss(logits, truth.to(self._device)))
            dice.add(logits.argmax(1).cpu(), truth)
        return dice.metrics() | {"validation_loss": total / len(self._cases)}

    def probabilities(self, samples: Sequence[Sample], poll: Callable[[], None]) -> Tensor:
        """(N, classes, *S), on the CPU, of samples of one size."""
        batch = EVALUATION_BATCH[self._config.axes]
        return torch.cat([self._logits(part, poll).cpu() for part in parts(samples, batch)]).softmax(1)

    def _logits(self, samples: Sequence[Sample], poll: Callable[[], None]) -> Tensor:
        """(N, classes, *S) of samples of one size, without the padding."""
        poll()
        shape = samples[0].mask.shape
        images = to_device(torch.stack([pad(sample, self._size)[0] for sample in samples]), self._device)
        if self._config.patch_size:
            window: dict[str, Any] = {"sw_batch_size": 4, "overlap": 0.5, "mode": "gaussian"}
            padded = cast(Tensor, sliding_window_inference(images, self._size, predictor=self.model, **window))
        else:
            padded = self.model(images)
        for axis, length in enumerate(shape, start=2):
            padded = padded.narrow(axis, 0, length)
        return padded


def criterion(name: str) -> nn.Module:
    """MONAI's losses on logits and labels (N, 1, *S); the Dice terms pool a batch and leave the background out.

    Pooling keeps slices without a class from counting as much as those that show it.
    """
    options: dict[str, Any] = {"include_background": False, "to_onehot_y": True, "softmax": True, "batch": True}
    if name == "DiceFocal":
        return DiceFocal(DiceLoss(**options), FocalLoss(to_onehot_y=True, use_softmax=True))
    kind = {"Dice": DiceLoss, "DiceCE": DiceCELoss, "GeneralizedDice": GeneralizedDiceLoss}[name]
    loss: nn.Module = kind(**options)
    return loss


class DiceFocal(nn.Module):
    """The sum of both, on the softmax. (MONAI's own sum has a sigmoid of each class in its focal term.)"""

    def __init__(self, dice: nn.Module, focal: nn.Module) -> None:
        super().__init__()
        self.dice, self.focal = dice, focal

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        total: Tensor = self.dice(logits, labels) + self.focal(logits, labels)
        return total


def by_case(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples of each case, wherever they stand."""
    cases: dict[int, list[Sample]] = {}
    for sample in samples:
        cases.setdefault(sample.case, []).append(sample)
    return list(cases.values())


def whole_size(samples: Sequence[Sample], depth: int) -> tuple[int, ...]:
    """The size that holds every sample: a multiple of 2^(depth-1), twice that at least.

    The U-Net halves the size depth - 1 times, and its instance normalisation needs more than one voxel at the bottom.
    """
    step = 2 ** (depth - 1)
    largest = [max(lengths) for lengths in zip(*(sample.mask.shape for sample in samples), strict=True)]
    return tuple(max(2, math.ceil(length / step)) * step for length in largest)


def pad(sample: Sample, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Grow image and mask at their far ends to ``size`` at least: the image by its minimum, the mask by background."""
    growth: list[int] = []
    for length, wanted in zip(reversed(sample.mask.shape), reversed(size), strict=True):
        growth += [0, max(0, wanted - length)]
    image = functional.pad(sample.image, growth, value=float(sample.image.min()))
    return image, functional.pad(sample.mask, growth)


def random_patch(image: Tensor, mask: Tensor, size: Sequence[int], random: Generator) -> tuple[Tensor, Tensor]:
    """A patch at a random place, or around a random foreground voxel."""
    spare = torch.tensor([length - wanted for length, wanted in zip(mask.shape, size, strict=True)])
    start = (torch.rand(len(spare), generator=random) * (spare + 1)).long()
    centred, which = torch.rand(2, generator=random).tolist()
    if centred < FOREGROUND_PATCHES:
        foreground = mask.nonzero()
        if len(foreground):
            centre = foreground[int(which * len(foreground))]
            start = (centre - torch.tensor(list(size)) // 2).clamp(min=torch.zeros_like(spare), max=spare)
    window = tuple(slice(s, s + n) for s, n in zip(start.tolist(), size, strict=True))
    return image[(slice(None), *window)], mask[window]


def parts(samples: Sequence[Sample], length: int) -> Iterator[Sequence[Sample]]:
    """``samples`` in consecutive parts of ``length``, the last one shorter."""
    for start in range(0, len(samples), length):
        yield samples[start : start + length]


def prepare(
    config: SegmentationConfig, data_dir: Path, seed: int, device: torch.device, poll: Callable[[], None]
) -> tuple[Learner, str]:
    """The learner, and the fingerprint of its data set."""
    data = load(data_dir, config, poll)
    return SegmentationLearner(config, data, seed, device), data.fingerprint
