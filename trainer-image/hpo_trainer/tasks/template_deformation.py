"""Segmentation by deforming one template per class, trained by the Dice coefficient alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpo_trainer.config import SegmentationConfig, TemplateDeformationConfig
from hpo_trainer.data.augmentation import Extents, augment_pairs
from hpo_trainer.data.patches import pad, whole_size
from hpo_trainer.data.segmentation import Sample, SegmentationData, load
from hpo_trainer.data.splits import NamedSplit
from hpo_trainer.data.template import pieces, template
from hpo_trainer.device import to_device
from hpo_trainer.evaluation.segmentation import DiceByCase, dice_names
from hpo_trainer.failures import BadData
from hpo_trainer.loop import Learner, Metrics
from hpo_trainer.networks import optimizer
from hpo_trainer.networks.network_input import NetworkInput
from hpo_trainer.networks.template import Deformed, TemplateNetwork, jacobian_determinants
from hpo_trainer.parallel.share import WHOLE, Share
from hpo_trainer.seeding import derive, generator
from hpo_trainer.tasks.segmentation import EVALUATION_BATCH, by_case, parts


class TemplateLearner:
    """Trains a TemplateNetwork on whole images that show a foreground class: the others have nothing to deform to."""

    def __init__(
        self, config: TemplateDeformationConfig, data: SegmentationData, seed: int, device: torch.device
    ) -> None:
        self._config, self._seed, self._device, self._classes = config, seed, device, data.classes
        self.data = replace(data, train=())  # which are kept padded
        self._size = whole_size((*data.train, *data.validation), config.depth)
        self._train = [pad(sample, self._size) for sample in data.train if sample.mask.any()]
        self._cases = by_case(data.validation)
        shape = torch.from_numpy(template([mask.numpy() for _, mask in self._train], len(data.classes)))
        torch.manual_seed(derive(seed, "weights"))
        self.model: nn.Module = TemplateNetwork(config, data.channels, shape).to(device)
        self.optimizer = optimizer(self.model, config.optimizer, config.learning_rate, weight_decay=config.weight_decay)

    @property
    def sides(self) -> Mapping[str, tuple[str, ...]]:
        return self.data.sides

    @property
    def network_input(self) -> NetworkInput:
        step = 2 ** (self._config.depth - 1)
        return NetworkInput(self._config.axes, tuple(self._size), step, False, self._config.normalization, None)

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self._train) / self._config.batch_size)

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("dice", *dice_names(self._classes), "components", "smallest_jacobian", "validation_loss")

    def batches(self, epoch: int, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._train), generator=generator(self._seed, "order", epoch))
        augmenting = generator(self._seed, *share.purpose("augmentation", epoch))
        for batch in torch.split(order, self._config.batch_size):
            pairs = [self._train[i] for i in share.of(batch).tolist()]
            images, masks = torch.stack([i for i, _ in pairs]), torch.stack([m for _, m in pairs])
            if self._config.augmentation:
                # A template cannot be turned into its mirror image
                images, masks = augment_pairs(images, masks, augmenting, Extents(mirror_axes=()))
            counted = masks[: share.counted(batch)].long()
            yield to_device(images, self._device), to_device(counted, self._device)

    def loss(self, outputs: Deformed, targets: Tensor) -> Tensor:
        """Soft Dice loss (4.10), and λ/2 of the mean squared length of the displacements (4.11)."""
        truth = functional.one_hot(targets, len(self._classes)).movedim(-1, 1)[:, 1:].to(outputs.levels.dtype)
        penalty = outputs.displacement.square().sum(1).mean() * self._config.deformation_penalty / 2
        return soft_dice_loss(soft_masks(outputs.levels, self._config.edge_width), truth) + penalty

    def learning_rate(self, step: int) -> float:
        return self._config.learning_rate

    def validate(self, poll: Callable[[], None]) -> Metrics:
        """``components``: the most pieces of a class in an image; ``smallest_jacobian``: of L, over all images."""
        dice, total, most, smallest = DiceByCase(self._classes), 0.0, 0, math.inf
        for samples in self._cases:
            predicted = []
            for part in parts(samples, EVALUATION_BATCH[self._config.axes]):
                poll()
                outputs, loss = self._judged(part)
                total += loss * len(part) / len(samples)
                smallest = min(smallest, float(jacobian_determinants(outputs.displacement).min()))
                predicted.append(labels(outputs.levels)[_window(samples[0])].cpu())
            masks = torch.cat(predicted)
            most = max(most, *(self._most_pieces(mask) for mask in masks))
            dice.add(masks, torch.stack([sample.mask for sample in samples]))
        quality = {"components": float(most), "smallest_jacobian": smallest}
        return dice.metrics() | quality | {"validation_loss": total / len(self._cases)}

    def probabilities(self, samples: Sequence[Sample], poll: Callable[[], None]) -> Tensor:
        """(N, classes, *S), on the CPU, of samples of one size.

        The softmax of the templates' soft masks before their sigmoid, beside 0 for the background: the most probable
        class is the one that ``labels`` gives.
        """
        predicted = []
        self._check_size(samples[0])
        for part in parts(samples, EVALUATION_BATCH[self._config.axes]):
            poll()
            levels = self._judged(part)[0].levels[(slice(None), *_window(samples[0]))].cpu()
            predicted.append(functional.pad(levels, (0, 0) * self._config.axes + (1, 0)))
        return (torch.cat(predicted) * (4 / self._config.edge_width)).softmax(1)

    def _check_size(self, sample: Sample) -> None:
        shape = tuple(sample.mask.shape)
        if any(length > most for length, most in zip(shape, self._size, strict=True)):
            raise BadData(
                self.data.source.path,
                f"an image of {shape} voxels is larger than the template's frame, {tuple(self._size)}, which holds all "
                "images that trained or validated; crop it",
            )

    def _judged(self, samples: Sequence[Sample]) -> tuple[Deformed, float]:
        padded = [pad(sample, self._size) for sample in samples]
        outputs = self.model(to_device(torch.stack([image for image, _ in padded]), self._device))
        truth = to_device(torch.stack([mask for _, mask in padded]).long(), self._device)
        return outputs, float(self.loss(outputs, truth))

    def _most_pieces(self, mask: Tensor) -> int:
        return max(pieces((mask == label).numpy()) for label in range(1, len(self._classes)))


def soft_masks(levels: Tensor, edge_width: float) -> Tensor:
    """From 0 outside to 1 inside, with a slope of 1 / ``edge_width`` (voxels) at the edge."""
    return torch.sigmoid(levels * (4 / edge_width))


def soft_dice_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice, pooled over the batch, mean over the classes; both (N, classes, *S), from 0 to 1."""
    axes = [0, *range(2, predicted.ndim)]
    overlap = (predicted * truth).sum(axes)
    total = predicted.sum(axes) + truth.sum(axes)
    return 1 - (2 * overlap / total.clamp_min(1e-6)).mean()


def labels(levels: Tensor) -> Tensor:
    """The class whose template reaches furthest over a voxel, 0 where none does: (N, classes, *S) to (N, *S)."""
    return torch.cat([torch.zeros_like(levels[:, :1]), levels], dim=1).argmax(1)


def _window(sample: Sample) -> tuple[slice, ...]:
    """Without the padding, of (N, *S)."""
    return (slice(None), *(slice(length) for length in sample.mask.shape))


def prepare(
    config: TemplateDeformationConfig,
    data_dir: Path,
    seed: int,
    device: torch.device,
    poll: Callable[[], None],
    split: NamedSplit | None = None,
) -> tuple[Learner, str]:
    """The learner, and the fingerprint of its data set."""
    reading = SegmentationConfig(
        dataset=config.dataset,
        split_file=config.split_file,
        split_column=config.split_column,
        validation_fraction=config.validation_fraction,
        dimensions=config.dimensions,
        fold=config.fold,
        normalization=config.normalization,
    )
    data = load(data_dir, reading, poll, split)
    return TemplateLearner(config, data, seed, device), data.fingerprint
