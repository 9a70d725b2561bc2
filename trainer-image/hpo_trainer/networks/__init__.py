"""The networks of the built-in tasks, built from their configuration."""

from __future__ import annotations

from hpo_trainer.networks.block_network import BlockNetwork
from hpo_trainer.networks.optimizers import optimizer, parameter_count
from hpo_trainer.networks.unet import u_net

__all__ = ["BlockNetwork", "optimizer", "parameter_count", "u_net"]
