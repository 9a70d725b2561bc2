"""The fields of the tasks that learn from labelled images."""

from __future__ import annotations

from pydantic import Field

from hpo_operator.api.tasks.task import Task


class LabelledImagesTask(Task):
    """What is read, and at which size."""

    train_samples_per_class: int = Field(0, ge=0, le=1000000, description="Training images used per class; 0: all.")
    image_size: int = Field(64, ge=8, le=1024, description="Images are resized to this many pixels a side.")
