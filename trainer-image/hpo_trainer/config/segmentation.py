"""The task ``segmentation``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpo_trainer.config.fields import option
from hpo_trainer.config.masked_images import UNetConfig, VoxelwiseConfig
from hpo_trainer.failures import BadConfig


@dataclass(frozen=True)
class SegmentationConfig(UNetConfig, VoxelwiseConfig):
    """A U-Net of ``depth`` resolution levels; an empty ``patch_size`` trains on whole images.

    The fields from ``rotation`` on are the extents of ``augmentation``: see ``data.augmentation.Extents``.
    """

    residual_units: int = option(0, 0, 4)
    full_resolution: bool = option(False)
    resampling: str = option("None", choices=("None", "MeanSpacing", "MedianSpacing"))
    momentum: float = option(0.9, 0.0, 0.9999)
    gradient_clipping: float = option(0.0, 0.0, 1e6)
    warmup_epochs: int = option(0, 0, 100_000)
    schedule_epochs: int = option(0, 0, 100_000)
    weight_averaging: float = option(0.0, 0.0, 0.9999)
    precision: str = option("Float32", choices=("Float32", "BFloat16"))
    dropout: float = option(0.0, 0.0, 0.95)
    patch_size: tuple[int, ...] = option((), 1, 65_536)
    rotation: float = option(15.0, 0.0, 180.0)
    shear: float = option(0.1, 0.0, 1.0)
    scaling: float = option(0.1, 0.0, 0.9)
    translation: float = option(0.05, 0.0, 1.0)
    elastic: float = option(0.0, 0.0, 0.5)
    mirror_axes: tuple[int, ...] = option((0,), 0, 2)
    noise: float = option(0.0, 0.0, 10.0)
    blur: float = option(0.0, 0.0, 10.0)

    @property
    def mirrored_axes(self) -> tuple[int, ...]:
        """Over which predictions are averaged."""
        return self.mirror_axes if self.mirrored_prediction and self.augmentation else ()

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
        for i, axis in enumerate(self.mirror_axes):
            if axis >= self.axes or axis in self.mirror_axes[:i]:
                raise BadConfig(
                    f"{source['mirrorAxes']}[{i}]",
                    f"expected different axes from 0 to {self.axes - 1} for {self.dimensions}, found {axis}",
                )
