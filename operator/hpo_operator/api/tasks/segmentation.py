"""The task ``segmentation``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpo_operator.api.model import Rule
from hpo_operator.api.tasks.task import Positive, Task


class SegmentationTask(Task):
    """2D or 3D segmentation by a U-Net, scored by the Dice coefficient."""

    dimensions: Literal["2D", "3D"] = Field("2D", description="Train on slices or on volumes.")
    fold: int = Field(0, ge=0, le=99, description="Which fold is the validation set, when the data set lists folds.")
    depth: int = Field(3, ge=1, le=6, description="Resolution levels of the U-Net.")
    channels: int = Field(16, ge=1, le=512, description="Channels of the first level.")
    channel_multiplier: float = Field(
        2.0, ge=0.5, le=4, description="Channels of a level over those of the level above."
    )
    residual_units: int = Field(0, ge=0, le=4, description="Residual units per level; 0: plain convolutions.")
    normalization: Literal["None", "ZScore", "PercentileZScore", "MinMax"] = Field(
        "ZScore", description="Normalisation of each image's intensities."
    )
    loss: Literal["Dice", "DiceCE", "GeneralizedDice", "DiceFocal"] = Field("DiceCE", description="Training loss.")
    optimizer: Literal["Adam", "AdamW", "SGD"] = Field("Adam", description="Optimisation method.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Weight decay of the optimizer.")
    dropout: float = Field(0.0, ge=0, le=0.95, description="Dropout inside the U-Net.")
    patch_size: list[Positive] = Field(
        [], max_length=3, description="Pixels or voxels of a training patch; empty: whole images."
    )

    rules = (
        *Task.rules,
        Rule(
            "size(self.patchSize) == 0 || (size(self.patchSize) == 2 && self.dimensions == '2D') || (size(self.patchSize) == 3 && self.dimensions == '3D')",
            "expected as many numbers in patchSize as dimensions, or none",
            lambda s: len(s.patch_size) in (0, int(s.dimensions[0])),
            "patchSize",
            lambda s: f"{len(s.patch_size)} for {s.dimensions}",
        ),
    )
