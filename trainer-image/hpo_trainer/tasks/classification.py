"""Image classification by the convolutional family of Bertrand et al. (ISBI 2017)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from hpo_trainer.config import ClassificationConfig
from hpo_trainer.data.classification import ClassificationData, load
from hpo_trainer.data.splits import NamedSplit
from hpo_trainer.loop import Learner
from hpo_trainer.networks import BlockNetwork, optimizer
from hpo_trainer.seeding import derive
from hpo_trainer.tasks.classifier import Classifier, balanced_weights


class ClassificationLearner(Classifier):
    """Trains a BlockNetwork; all classes count alike in the loss."""

    def __init__(self, config: ClassificationConfig, data: ClassificationData, seed: int, device: torch.device) -> None:
        super().__init__(config, data, balanced_weights(data.train, len(data.classes)), seed, device)
        self._config = config
        torch.manual_seed(derive(seed, "weights"))
        self.model = BlockNetwork(config, len(data.classes)).to(device)
        self.optimizer = optimizer(self.model, config.optimizer, config.learning_rate, momentum=config.momentum)

    def learning_rate(self, step: int) -> float:
        return self._config.learning_rate / (1 + self._config.learning_rate_decay * step)


def prepare(
    config: ClassificationConfig,
    data_dir: Path,
    seed: int,
    device: torch.device,
    poll: Callable[[], None],
    split: NamedSplit | None = None,
) -> tuple[Learner, str]:
    """The learner, and the fingerprint of its data set."""
    data = load(data_dir, config, poll, split)
    return ClassificationLearner(config, data, seed, device), data.fingerprint
