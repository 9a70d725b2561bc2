"""The fields of the tasks that learn from images with masks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpo_operator.api.tasks.task import Task


class MaskedImagesTask(Task):
    """Who validates, and by what weights are changed."""

    fold: int = Field(0, ge=0, le=99, description="Which fold is the validation set, when the data set lists folds.")
    optimizer: Literal["Adam", "AdamW", "SGD"] = Field("Adam", description="Optimisation method.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Weight decay of the optimizer.")


class UNetTask(MaskedImagesTask):
    """A network of several resolution levels, and how the images for it are read."""

    dimensions: Literal["2D", "3D"] = Field("2D", description="Train on slices or on volumes.")
    depth: int = Field(3, ge=1, le=6, description="Resolution levels of the U-Net.")
    channels: int = Field(16, ge=1, le=512, description="Channels of the first level.")
    channel_multiplier: float = Field(
        2.0, ge=0.5, le=4, description="Channels of a level over those of the level above."
    )
    normalization: Literal["None", "ZScore", "PercentileZScore", "MinMax"] = Field(
        "ZScore", description="Normalisation of each image's intensities."
    )


class VoxelwiseTask(MaskedImagesTask):
    """A network that tells each voxel's class."""

    loss: Literal["Dice", "DiceCE", "GeneralizedDice", "DiceFocal", "DiceTopK", "DiceHausdorff"] = Field(
        "DiceCE", description="Training loss."
    )
    mirrored_prediction: bool = Field(
        False,
        description="Validate, and predict in the end, by the mean over mirror images, along the axes that augmentation mirrors; without augmentation along none.",
    )
