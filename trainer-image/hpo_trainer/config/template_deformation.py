"""The task ``templateDeformation``."""

from __future__ import annotations

from dataclasses import dataclass

from hpo_trainer.config.fields import option
from hpo_trainer.config.task import TaskConfig


@dataclass(frozen=True)
class TemplateDeformationConfig(TaskConfig):
    """``networks.template.TemplateNetwork``; a ``field_level`` below the bottom of the network means the bottom.

    ``integration_steps``: of the local deformation as the flow of a velocity, which does not fold; 0: none.
    ``edge_width``: voxels over which the template's edge goes from outside to inside in the training loss.
    """

    dimensions: str = option("2D", choices=("2D", "3D"))
    fold: int = option(0, 0, 99)
    depth: int = option(4, 2, 6)
    channels: int = option(16, 1, 512)
    channel_multiplier: float = option(2.0, 0.5, 4.0)
    field_level: int = option(0, 0, 5)
    integration_steps: int = option(0, 0, 10)
    head_layers: int = option(2, 0, 4)
    transformation: str = option("Both", choices=("Both", "Global", "Local"))
    deformation_penalty: float = option(10.0, 0.0, 1e6)
    edge_width: float = option(1.0, 0.1, 16.0)
    normalization: str = option("ZScore", choices=("None", "ZScore", "PercentileZScore", "MinMax"))
    optimizer: str = option("Adam", choices=("Adam", "AdamW", "SGD"))
    weight_decay: float = option(0.0, 0.0, 1.0)

    @property
    def axes(self) -> int:
        return int(self.dimensions[0])
