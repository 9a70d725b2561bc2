"""A moving average of a network's weights, which is judged instead of them (Polyak and Juditsky, 1992)."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

AVERAGE = "average."


class AveragedNetwork(nn.Module):
    """``network`` in training mode, the average of its weights in evaluation mode.

    Both are in the state, so that a resumed run goes on with the same bits. ``decay``: what the average keeps at each
    step; less in the first steps, where (1 + t) / (10 + t) is less, so that the random start is forgotten.
    """

    steps: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network, self.average = network, copy.deepcopy(network).requires_grad_(False)
        self._decay = decay
        self.register_buffer("steps", torch.zeros((), dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = (self.network if self.training else self.average)(images)
        return outputs

    @torch.no_grad()
    def update(self) -> None:
        """To be called after each step of the optimizer."""
        self.steps += 1
        share = 1 - ((1 + self.steps) / (10 + self.steps)).clamp(max=self._decay)
        for mean, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(weight, share)
        for copied, value in zip(self.average.buffers(), self.network.buffers(), strict=True):
            copied.copy_(value)


def judged_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a model's state, the weights that are evaluated, by their names in the network itself."""
    averaged = {name.removeprefix(AVERAGE): value for name, value in state.items() if name.startswith(AVERAGE)}
    return averaged or dict(state)
