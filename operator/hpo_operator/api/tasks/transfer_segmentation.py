"""The task ``transferSegmentation``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpo_operator.api.tasks.masked_images import VoxelwiseTask
from hpo_operator.api.tasks.task import Task, inside


class TransferSegmentationTask(VoxelwiseTask):
    """Adapts a trained U-Net to another population; scored by the Dice coefficient on both populations."""

    source_checkpoint: str = Field(
        "checkpoint.pt",
        max_length=256,
        description="Path inside the data volume of the checkpoint.pt of a segmentation trial.",
    )
    source_dataset: str = Field(
        "",
        max_length=256,
        description="Path of the source's data set inside the data volume; empty: as the source's own trial named it.",
    )
    method: Literal["None", "Full", "Partial", "FixedConvolutions", "Geometric", "Intensity", "GeometricIntensity"] = (
        Field(
            "GeometricIntensity",
            description="What is trained: nothing, all weights, some blocks, or only layers that are added to the source network.",
        )
    )
    trained_blocks: int = Field(1, ge=1, le=11, description="Blocks of the source network that Partial trains.")
    trained_end: Literal["First", "Last"] = Field("Last", description="Where the blocks stand that Partial trains.")
    layer_channels: int = Field(16, ge=1, le=256, description="Channels inside the geometric and the intensity layers.")

    rules = (*Task.rules, inside("sourceCheckpoint"), inside("sourceDataset"))
