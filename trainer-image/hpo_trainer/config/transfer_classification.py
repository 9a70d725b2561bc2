"""The task ``transferClassification``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpo_trainer.config.fields import option
from hpo_trainer.config.labelled_images import LabelledImagesConfig
from hpo_trainer.failures import BadConfig

BACKBONES = (
    *("ResNet10", "ResNet18", "ResNet34", "ResNet50", "ResNet101"),
    *("DenseNet121", "DenseNet169", "DenseNet201"),
    *("EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3"),
)
SMALLEST = 32
"""Pixels a side that DenseNets and EfficientNets with their standard stem need: they halve it five times."""


@dataclass(frozen=True)
class TransferClassificationConfig(LabelledImagesConfig):
    """A published network that is trained in two steps: its new head alone, then from the delimiting layer on.

    ``weights`` is a path in the data volume, in which ``{backbone}`` stands for the backbone's name.
    """

    backbone: str = option("ResNet18", choices=BACKBONES)
    width: float = option(1.0, 0.125, 2.0)
    stem: str = option("Standard", choices=("Standard", "Small"))
    method: str = option("FineTuning", choices=("FineTuning", "Head", "None", "Scratch"))
    weights: str = option("weights.pt")
    head_epochs: int = option(2, 0, 1000)
    head_learning_rate: float = option(0.01, 1e-9, 100.0)
    delimiting_layer: float = option(0.0, 0.0, 1.0)
    dropout: float = option(0.0, 0.0, 0.95)
    class_weights: str = option("Balanced", choices=("None", "Balanced"))
    normalization: str = option("TrainingSet", choices=("TrainingSet", "Image"))
    mirroring: bool = option(False)
    intensity_change: float = option(0.0, 0.0, 1.0)
    optimizer: str = option("SGD", choices=("SGD", "Adam", "AdamW"))
    momentum: float = option(0.9, 0.0, 0.9999)
    weight_decay: float = option(0.0, 0.0, 1.0)

    @property
    def weights_path(self) -> str:
        return self.weights.replace("{backbone}", self.backbone)

    def check(self, source: Mapping[str, str]) -> None:
        super().check(source)
        if self.batch_size < 2:
            raise BadConfig(
                source["batchSize"], "expected at least 2, over which batch normalisation averages, found 1"
            )
        if self.micro_batch_size in (1, 2):  # of three samples in twos, one would be left alone
            raise BadConfig(
                source["microBatchSize"],
                "expected 0 or at least 3, so that batch normalisation averages over two samples or more, "
                f"found {self.micro_batch_size}",
            )
        if not self.backbone.startswith("ResNet") and self.stem == "Standard" and self.image_size < SMALLEST:
            raise BadConfig(
                source["imageSize"],
                f"expected at least {SMALLEST} for a {self.backbone} with the standard stem, found {self.image_size}",
            )
        if self.backbone.startswith("EfficientNet"):
            for name, value, only in (("width", self.width, 1.0), ("stem", self.stem, "Standard")):
                if value != only:
                    raise BadConfig(source[name], f"expected {only} for {self.backbone}, found {value}")
