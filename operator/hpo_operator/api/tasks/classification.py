"""The task ``classification``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpo_operator.api.model import Rule
from hpo_operator.api.tasks.labelled_images import LabelledImagesTask
from hpo_operator.api.tasks.task import Positive, Task


class ClassificationTask(LabelledImagesTask):
    """Image classification by the parametric CNN family of Bertrand et al. (ISBI 2017), Table 1."""

    blocks: int = Field(5, ge=1, le=8, description="Convolution blocks, each ended by a max-pooling.")
    convolutions_per_block: int = Field(1, ge=1, le=10, description="Convolutions in a block.")
    filters: int = Field(64, ge=1, le=1024, description="Filters of every convolution.")
    kernel_size: int = Field(3, ge=1, le=11, description="Pixels a side of a convolution's kernel; odd.")
    separable: bool = Field(False, description="Replace each k x k convolution by a 1 x k and a k x 1.")
    dense_units: list[Positive] = Field([4096, 1024], max_length=8, description="Units of the fully connected layers.")
    dropout: float = Field(0.0, ge=0, le=0.95, description="Dropout between the fully connected layers.")
    optimizer: Literal["SGD", "Adam", "AdamW"] = Field(
        "SGD", description="Optimisation method; SGD is with Nesterov momentum."
    )
    momentum: float = Field(0.9, ge=0, le=0.9999, description="Momentum of SGD.")
    learning_rate_decay: float = Field(1e-6, ge=0, le=1, description="d in learningRate / (1 + d * step).")

    rules = (
        *Task.rules,
        Rule(
            "self.kernelSize % 2 == 1",
            "expected an odd number",
            lambda s: s.kernel_size % 2 == 1,
            "kernelSize",
            lambda s: str(s.kernel_size),
        ),
    )
