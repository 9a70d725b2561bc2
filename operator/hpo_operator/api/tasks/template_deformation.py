"""The task ``templateDeformation``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpo_operator.api.tasks.masked_images import UNetTask


class TemplateDeformationTask(UNetTask):
    """2D or 3D segmentation by deforming a mean shape of each class, so that a mask stays in one piece."""

    depth: int = Field(4, ge=2, le=6, description="Resolution levels of the network.")
    field_level: int = Field(
        0,
        ge=0,
        le=5,
        description="Level at which the local displacements are predicted; 0 is full resolution, and each next one halves it. Coarser ones are smoother and cheaper.",
    )
    integration_steps: int = Field(
        0,
        ge=0,
        le=10,
        description="Steps in which the local deformation is integrated from a velocity, so that it does not fold; 7 are usual. 0: it is predicted itself.",
    )
    head_layers: int = Field(
        2, ge=0, le=4, description="Convolution blocks before the prediction of the global transformation."
    )
    transformation: Literal["Both", "Global", "Local"] = Field(
        "Both",
        description="Translation, rotation and scaling of the whole template, local displacements, or the one after the other.",
    )
    deformation_penalty: float = Field(
        10.0,
        ge=0,
        le=1e6,
        description="Weight of the mean squared displacement in the loss, in half the longest side of an image.",
    )
    edge_width: float = Field(
        1.0, ge=0.1, le=16, description="Voxels over which the template's edge rises from 0 to 1 in the training loss."
    )
