"""The task ``segmentation``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hpo_operator.api.model import Rule
from hpo_operator.api.tasks.masked_images import UNetTask, VoxelwiseTask
from hpo_operator.api.tasks.task import Positive, Task

Axis = Annotated[int, Field(ge=0, le=2)]


class SegmentationTask(UNetTask, VoxelwiseTask):
    """2D or 3D segmentation by a U-Net, scored by the Dice coefficient."""

    residual_units: int = Field(0, ge=0, le=4, description="Residual units per level; 0: plain convolutions.")
    full_resolution: bool = Field(
        False,
        description="A further level on top, which keeps the image's resolution; without it the first convolution halves it.",
    )
    resampling: Literal["None", "MeanSpacing", "MedianSpacing"] = Field(
        "None",
        description="Resample volumes to the mean or median voxel spacing of the training side; they are judged on their own grid.",
    )
    momentum: float = Field(0.9, ge=0, le=0.9999, description="Nesterov momentum of SGD.")
    gradient_clipping: float = Field(0.0, ge=0, le=1e6, description="Largest norm of a step's gradient; 0: no limit.")
    warmup_epochs: int = Field(0, ge=0, le=100000, description="Epochs over which the learning rate rises from 0.")
    schedule_epochs: int = Field(
        0,
        ge=0,
        le=100000,
        description="Epoch at which a polynomial decay of the learning rate ends, whatever the trial's epochs; 0: constant.",
    )
    weight_averaging: float = Field(
        0.0,
        ge=0,
        le=0.9999,
        description="Share that a moving average of the weights keeps at each step; the average is validated. 0: none.",
    )
    precision: Literal["Float32", "BFloat16"] = Field(
        "Float32", description="BFloat16 convolves in mixed precision; weights and loss stay in 32 bits."
    )
    dropout: float = Field(0.0, ge=0, le=0.95, description="Dropout inside the U-Net.")
    patch_size: list[Positive] = Field(
        [], max_length=3, description="Pixels or voxels of a training patch; empty: whole images."
    )
    rotation: float = Field(15.0, ge=0, le=180, description="Largest rotation in augmentation, in degrees.")
    shear: float = Field(0.1, ge=0, le=1, description="Largest shear in augmentation.")
    scaling: float = Field(0.1, ge=0, le=0.9, description="Largest change of size in augmentation, as a share.")
    translation: float = Field(
        0.05, ge=0, le=1, description="Largest translation in augmentation, as a share of half the image's extent."
    )
    elastic: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Standard deviation of the elastic displacements in augmentation, in distances of their control points, 8 voxels.",
    )
    mirror_axes: list[Axis] = Field([0], max_length=3, description="Axes that augmentation mirrors at random.")
    noise: float = Field(
        0.0, ge=0, le=10, description="Largest standard deviation of the noise in augmentation, in those of the image."
    )
    blur: float = Field(0.0, ge=0, le=10, description="Largest width of the Gaussian blur in augmentation, in voxels.")

    rules = (
        *Task.rules,
        Rule(
            "size(self.patchSize) == 0 || (size(self.patchSize) == 2 && self.dimensions == '2D') || (size(self.patchSize) == 3 && self.dimensions == '3D')",
            "expected as many numbers in patchSize as dimensions, or none",
            lambda s: len(s.patch_size) in (0, int(s.dimensions[0])),
            "patchSize",
            lambda s: f"{len(s.patch_size)} for {s.dimensions}",
        ),
        Rule(
            "self.mirrorAxes.all(a, a < (self.dimensions == '2D' ? 2 : 3) && self.mirrorAxes.filter(b, b == a).size() == 1)",
            "expected different axes in mirrorAxes, from 0, fewer than dimensions",
            lambda s: (
                len({*s.mirror_axes}) == len(s.mirror_axes) and all(a < int(s.dimensions[0]) for a in s.mirror_axes)
            ),
            "mirrorAxes",
            lambda s: f"{s.mirror_axes} for {s.dimensions}",
        ),
    )
