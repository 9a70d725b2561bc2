"""What the tasks that classify images share: batches, a class-weighted cross-entropy, and how a network is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpo_trainer.config import LabelledImagesConfig
from hpo_trainer.data.augmentation import augment_images
from hpo_trainer.data.classification import ClassificationData, LabelledImages
from hpo_trainer.device import to_device
from hpo_trainer.evaluation.classification import classification_metrics, metric_names
from hpo_trainer.loop import Metrics
from hpo_trainer.parallel.share import WHOLE, Share
from hpo_trainer.seeding import generator

EVALUATION_BATCH = 128
"""Fixed, so that the validation loss of two trials does not differ by the rounding of their batch sizes."""


class Classifier:
    """A network on labelled images; ``model``: (N, 1, S, S) to logits (N, K). ``class_weights``: (K,), of the loss."""

    least_samples = 1
    """That a network can be trained on at once."""
    model: nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(
        self,
        config: LabelledImagesConfig,
        data: ClassificationData,
        class_weights: Tensor,
        seed: int,
        device: torch.device,
    ) -> None:
        self._data, self._seed, self._device = data, seed, device
        self._batch_size, self._augmentation = config.batch_size, config.augmentation
        self._weights = class_weights.to(device, torch.float32)

    @property
    def data(self) -> ClassificationData:
        return self._data

    @property
    def sides(self) -> Mapping[str, tuple[str, ...]]:
        return self._data.sides

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self._data.train.labels) / self._batch_size)

    @property
    def metric_names(self) -> tuple[str, ...]:
        return (*metric_names(self._data.classes), "validation_loss")

    def batches(self, epoch: int, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        train = self._data.train
        order = torch.randperm(len(train.labels), generator=generator(self._seed, "order", epoch))
        augmenting = generator(self._seed, *share.purpose("augmentation", epoch))
        for batch in self._split(order):
            chosen = share.of(batch, self.least_samples)
            images = self._augmented(train.images[chosen], augmenting)
            labels = train.labels[chosen[: share.counted(batch)]]
            yield to_device(images, self._device), to_device(labels, self._device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets, self._weights)

    def validate(self, poll: Callable[[], None]) -> Metrics:
        images, labels = self._data.validation.images, self._data.validation.labels
        logits, weights = self.logits(images, poll), self._weights.cpu()
        total, size = torch.zeros((), dtype=torch.float64), EVALUATION_BATCH
        for part, truth in zip(torch.split(logits, size), torch.split(labels, size), strict=True):
            total += functional.cross_entropy(part, truth, weights, reduction="sum")
        metrics = classification_metrics(logits.double().softmax(1), labels, self._data.classes)
        return metrics | {"validation_loss": float(total / weights[labels].sum())}

    def logits(self, images: Tensor, poll: Callable[[], None]) -> Tensor:
        """(N, 1, S, S), standardised as ``LabelledImages``, to (N, K) on the CPU; the model is in evaluation mode."""
        parts = []
        for batch in torch.split(images, EVALUATION_BATCH):
            poll()
            parts.append(self.model(to_device(batch, self._device)).cpu())
        return torch.cat(parts)

    def _split(self, order: Tensor) -> tuple[Tensor, ...]:
        return torch.split(order, self._batch_size)

    def _augmented(self, images: Tensor, augmenting: torch.Generator) -> Tensor:
        return augment_images(images, augmenting) if self._augmentation else images


def balanced_weights(train: LabelledImages, classes: int) -> Tensor:
    """(K,): N / (K · N_c) for class c, so that all classes count alike (Bertrand et al., ISBI 2017)."""
    counts = torch.bincount(train.labels, minlength=classes)
    return len(train.labels) / (len(counts) * counts)
