"""The task ``templateDeformation``."""

from __future__ import annotations

from dataclasses import dataclass

from hpo_trainer.config.fields import option
from hpo_trainer.config.masked_images import UNetConfig


@dataclass(frozen=True)
class TemplateDeformationConfig(UNetConfig):
    """``networks.template.TemplateNetwork``; a ``field_level`` below the bottom of the network means the bottom.

    ``integration_steps``: of the local deformation as the flow of a velocity, which does not fold; 0: none.
    ``edge_width``: voxels over which the template's edge goes from outside to inside in the training loss.
    """

    depth: int = option(4, 2, 6)
    field_level: int = option(0, 0, 5)
    integration_steps: int = option(0, 0, 10)
    head_layers: int = option(2, 0, 4)
    transformation: str = option("Both", choices=("Both", "Global", "Local"))
    deformation_penalty: float = option(10.0, 0.0, 1e6)
    edge_width: float = option(1.0, 0.1, 16.0)
