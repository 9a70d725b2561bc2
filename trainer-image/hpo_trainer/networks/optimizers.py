"""What trains a network, and how many weights that are."""

from __future__ import annotations

import torch
from torch import nn


def parameter_count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def optimizer(
    model: nn.Module, name: str, learning_rate: float, *, momentum: float = 0.9, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """SGD (Nesterov, if there is momentum), Adam, or AdamW."""
    parameters = model.parameters()
    if name == "SGD":
        return torch.optim.SGD(
            parameters, lr=learning_rate, momentum=momentum, nesterov=momentum > 0, weight_decay=weight_decay
        )
    kind = torch.optim.AdamW if name == "AdamW" else torch.optim.Adam
    return kind(parameters, lr=learning_rate, weight_decay=weight_decay)
