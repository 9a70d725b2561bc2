"""The task ``transferSegmentation``."""

from __future__ import annotations

from dataclasses import dataclass

from hpo_trainer.config.fields import option
from hpo_trainer.config.masked_images import VoxelwiseConfig


@dataclass(frozen=True)
class TransferSegmentationConfig(VoxelwiseConfig):
    """Another population for a trained U-Net, whose checkpoint also says how images are read.

    An empty ``source_dataset`` is the data set that the checkpoint was trained on.
    """

    source_checkpoint: str = option("checkpoint.pt")
    source_dataset: str = option("")
    method: str = option(
        "GeometricIntensity",
        choices=("None", "Full", "Partial", "FixedConvolutions", "Geometric", "Intensity", "GeometricIntensity"),
    )
    trained_blocks: int = option(1, 1, 11)
    trained_end: str = option("Last", choices=("First", "Last"))
    layer_channels: int = option(16, 1, 256)
