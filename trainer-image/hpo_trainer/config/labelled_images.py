"""The fields of the tasks that learn from labelled images."""

from __future__ import annotations

from dataclasses import dataclass

from hpo_trainer.config.fields import option
from hpo_trainer.config.task import TaskConfig


@dataclass(frozen=True)
class LabelledImagesConfig(TaskConfig):
    """What is read, and at which size; ``train_samples_per_class`` 0 means all."""

    train_samples_per_class: int = option(0, 0, 1_000_000)
    image_size: int = option(64, 8, 1024)
