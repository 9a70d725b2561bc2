"""The task ``segmentation``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpo_trainer.config.fields import option
from hpo_trainer.config.task import TaskConfig
from hpo_trainer.failures import BadConfig


@dataclass(frozen=True)
class SegmentationConfig(TaskConfig):
    """A U-Net of ``depth`` resolution levels; an empty ``patch_size`` trains on whole images."""

    dimensions: str = option("2D", choices=("2D", "3D"))
    fold: int = option(0, 0, 99)
    depth: int = option(3, 1, 6)
    channels: int = option(16, 1, 512)
    channel_multiplier: float = option(2.0, 0.5, 4.0)
    residual_units: int = option(0, 0, 4)
    normalization: str = option("ZScore", choices=("None", "ZScore", "PercentileZScore", "MinMax"))
    loss: str = option("DiceCE", choices=("Dice", "DiceCE", "GeneralizedDice", "DiceFocal"))
    optimizer: str = option("Adam", choices=("Adam", "AdamW", "SGD"))
    weight_decay: float = option(0.0, 0.0, 1.0)
    dropout: float = option(0.0, 0.0, 0.95)
    patch_size: tuple[int, ...] = option((), 1, 65_536)

    @property
    def axes(self) -> int:
        return int(self.dimensions[0])

    def check(self, source: Mapping[str, str]) -> None:
        super().check(source)
        if self.patch_size and len(self.patch_size) != self.axes:
            raise BadConfig(
                source["patchSize"],
                f"expected {self.axes} numbers for {self.dimensions}, or none, found {list(self.patch_size)}",
            )
        step = 2 ** (self.depth - 1)
        for i, size in enumerate(self.patch_size):
            if size % step or size < 2 * step:
                raise BadConfig(
                    f"{source['patchSize']}[{i}]",
                    f"expected a multiple of {step} and at least {2 * step}, since depth is {self.depth}, found {size}",
                )
