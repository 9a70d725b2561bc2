"""The task ``classification``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpo_trainer.config.fields import at_most, option
from hpo_trainer.config.labelled_images import LabelledImagesConfig
from hpo_trainer.failures import BadConfig


@dataclass(frozen=True)
class ClassificationConfig(LabelledImagesConfig):
    """The convolutional family of ``networks.BlockNetwork``."""

    blocks: int = option(5, 1, 8)
    convolutions_per_block: int = option(1, 1, 10)
    filters: int = option(64, 1, 1024)
    kernel_size: int = option(3, 1, 11)
    separable: bool = option(False)
    dense_units: tuple[int, ...] = option((4096, 1024), 1, 65_536)
    dropout: float = option(0.0, 0.0, 0.95)
    optimizer: str = option("SGD", choices=("SGD", "Adam", "AdamW"))
    momentum: float = option(0.9, 0.0, 0.9999)
    learning_rate_decay: float = option(1e-6, 0.0, 1.0)

    def check(self, source: Mapping[str, str]) -> None:
        super().check(source)
        if self.kernel_size % 2 == 0:
            raise BadConfig(source["kernelSize"], f"expected an odd number, found {self.kernel_size}")
        if self.image_size >> self.blocks == 0:
            most = self.image_size.bit_length() - 1
            raise BadConfig(
                source["blocks"],
                f"expected at most {most}, since each block halves the image and imageSize is {self.image_size}, "
                f"found {self.blocks}",
            )
        at_most("denseUnits", self.dense_units, 8, source)
