"""The fields that all built-in tasks share."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import Field

from hpo_operator.api.model import ApiModel, Rule
from hpo_operator.api.words import show

Positive = Annotated[int, Field(ge=1, le=65536)]


def inside(field: str) -> Rule:
    """The path in ``field`` may not leave the data volume."""

    def path(task: Any) -> str:
        return str(getattr(task, re.sub("[A-Z]", lambda m: "_" + m[0].lower(), field)))

    return Rule(
        f"!has(self.{field}) || !self.{field}.matches('^/|(^|/)[.][.](/|$)')",
        "expected a path inside the data volume",
        lambda task: not path(task).startswith("/") and ".." not in path(task).split("/"),
        field,
        lambda task: show(path(task)),
    )


class Task(ApiModel):
    """What all built-in tasks share."""

    dataset: str = Field(
        ".", max_length=256, description="Path of the data set inside the data volume: a folder, or an .npz file."
    )
    split_file: str = Field(
        "",
        max_length=256,
        description="CSV inside the data set with the columns class, file and one per split, or beside an .npz file with the columns image and one per split; empty: split by the trainer.",
    )
    split_column: str = Field("split", max_length=64, description="Column of splitFile that holds train, val or test.")
    validation_fraction: float = Field(
        0.25,
        ge=0.01,
        le=0.9,
        description="Share of the groups (volumes, slabs, blocks of files) held out for validation when the data set brings no split.",
    )
    epochs: int = Field(10, ge=1, le=100000, description="Epochs to train; the fidelity `epochs` overrides it.")
    batch_size: int = Field(8, ge=1, le=4096, description="Samples per optimisation step.")
    micro_batch_size: int = Field(
        0,
        ge=0,
        le=4096,
        description="Samples of a batch that go through the network at once, so that batchSize costs no memory; the gradient is that of the whole batch. 0: all.",
    )
    learning_rate: float = Field(0.001, ge=1e-9, le=100, description="Initial step size of the optimizer.")
    augmentation: bool = Field(False, description="Random geometric and intensity changes of the training images.")
    deterministic: bool = Field(
        True, description="Same seed, same result, bit for bit, on the CPU with the same number of threads."
    )
    validation_interval: int = Field(
        1, ge=1, le=1000, description="Epochs between two validations; the last epoch is always validated."
    )

    rules: ClassVar[tuple[Rule, ...]] = (inside("dataset"), inside("splitFile"))
