"""The fields of the tasks that learn from images with masks."""

from __future__ import annotations

from dataclasses import dataclass

from hpo_trainer.config.fields import option
from hpo_trainer.config.task import TaskConfig

LOSSES = ("Dice", "DiceCE", "GeneralizedDice", "DiceFocal", "DiceTopK", "DiceHausdorff")


@dataclass(frozen=True)
class MaskedImagesConfig(TaskConfig):
    """Who validates, and by what weights are changed."""

    fold: int = option(0, 0, 99)
    optimizer: str = option("Adam", choices=("Adam", "AdamW", "SGD"))
    weight_decay: float = option(0.0, 0.0, 1.0)


@dataclass(frozen=True)
class UNetConfig(MaskedImagesConfig):
    """A network of ``depth`` resolution levels, and how the images for it are read."""

    dimensions: str = option("2D", choices=("2D", "3D"))
    depth: int = option(3, 1, 6)
    channels: int = option(16, 1, 512)
    channel_multiplier: float = option(2.0, 0.5, 4.0)
    normalization: str = option("ZScore", choices=("None", "ZScore", "PercentileZScore", "MinMax"))

    @property
    def axes(self) -> int:
        return int(self.dimensions[0])


@dataclass(frozen=True)
class VoxelwiseConfig(MaskedImagesConfig):
    """A network that tells each voxel's class. ``mirrored_prediction``: it is judged, and predicts, by the mean over
    all combinations of the axes that its training mirrors."""

    loss: str = option("DiceCE", choices=LOSSES)
    mirrored_prediction: bool = option(False)
