"""The task ``transferSegmentation``."""

from __future__ import annotations

from dataclasses import dataclass

from hpo_trainer.config.fields import option
from hpo_trainer.config.task import TaskConfig


@dataclass(frozen=True)
class TransferSegmentationConfig(TaskConfig):
    """Another population for a trained U-Net, whose checkpoint also says how images are read.

    An empty ``source_dataset`` is the data set that the checkpoint was trained on.
    """

    fold: int = option(0, 0, 99)
    source_checkpoint: str = option("checkpoint.pt")
    source_dataset: str = option("")
    method: str = option(
        "GeometricIntensity",
        choices=("None", "Full", "Partial", "FixedConvolutions", "Geometric", "Intensity", "GeometricIntensity"),
    )
    trained_blocks: int = option(1, 1, 11)
    trained_end: str = option("Last", choices=("First", "Last"))
    layer_channels: int = option(16, 1, 256)
    loss: str = option("DiceCE", choices=("Dice", "DiceCE", "GeneralizedDice", "DiceFocal"))
    optimizer: str = option("Adam", choices=("Adam", "AdamW", "SGD"))
    weight_decay: float = option(0.0, 0.0, 1.0)
