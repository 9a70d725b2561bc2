"""Image classification with a class-weighted cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpo_trainer.config import ClassificationConfig
from hpo_trainer.data.augmentation import augment_images
from hpo_trainer.data.classification import ClassificationData, load
from hpo_trainer.device import to_device
from hpo_trainer.evaluation.classification import classification_metrics
from hpo_trainer.loop import Learner, Metrics
from hpo_trainer.networks import BlockNetwork, optimizer
from hpo_trainer.seeding import derive, generator

EVALUATION_BATCH = 128
"""Fixed, so that the validation loss of two trials does not differ by the rounding of their batch sizes."""


class ClassificationLearner:
    """Trains a BlockNetwork; the weight of class c in the loss is N / (classes · N_c), over the training images."""

    def __init__(self, config: ClassificationConfig, data: ClassificationData, seed: int, device: torch.device) -> None:
        self._config, self._data, self._seed, self._device = config, data, seed, device
        torch.manual_seed(derive(seed, "weights"))
        self.model: nn.Module = BlockNetwork(config, len(data.classes)).to(device)
        self.optimizer = optimizer(self.model, config.optimizer, config.learning_rate, momentum=config.momentum)
        counts = torch.bincount(data.train.labels, minlength=len(data.classes))
        self._weights = (len(data.train.labels) / (len(counts) * counts)).to(device, torch.float32)

    @property
    def data(self) -> ClassificationData:
        return self._data

    @property
    def sides(self) -> Mapping[str, tuple[str, ...]]:
        return self._data.sides

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self._data.train.labels) / self._config.batch_size)

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("accuracy", "balanced_accuracy", "errors", "validation_loss")

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        train = self._data.train
        order = torch.randperm(len(train.labels), generator=generator(self._seed, "order", epoch))
        augmenting = generator(self._seed, "augmentation", epoch)
        for chosen in torch.split(order, self._config.batch_size):
            images = train.images[chosen]
            if self._config.augmentation:
                images = augment_images(images, augmenting)
            yield to_device(images, self._device), to_device(train.labels[chosen], self._device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets, self._weights)

    def learning_rate(self, step: int) -> float:
        return self._config.learning_rate / (1 + self._config.learning_rate_decay * step)

    def validate(self, poll: Callable[[], None]) -> Metrics:
        images, labels = self._data.validation.images, self._data.validation.labels
        total, predicted = torch.zeros((), dtype=torch.float64), []
        for batch, truth in zip(
            torch.split(images, EVALUATION_BATCH), torch.split(labels, EVALUATION_BATCH), strict=True
        ):
            poll()
            logits = self.model(to_device(batch, self._device))
            target = to_device(truth, self._device)
            total += functional.cross_entropy(logits, target, self._weights, reduction="sum").cpu()
            predicted.append(logits.argmax(1).cpu())
        metrics = classification_metrics(torch.cat(predicted), labels, len(self._data.classes))
        return metrics | {"validation_loss": float(total / self._weights.cpu()[labels].sum())}


def prepare(
    config: ClassificationConfig, data_dir: Path, seed: int, device: torch.device, poll: Callable[[], None]
) -> tuple[Learner, str]:
    """The learner, and the fingerprint of its data set."""
    data = load(data_dir, config, poll)
    return ClassificationLearner(config, data, seed, device), data.fingerprint
