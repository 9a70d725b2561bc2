"""Predictions averaged over mirror images, as nnU-Net does: test-time augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor, nn


class Mirrored(nn.Module):
    """The mean of ``network``'s logits over all combinations of ``axes``, from 0, each mirrored back.

    (N, C, *S) to (N, K, *S). 2^len(axes) predictions.
    """

    def __init__(self, network: nn.Module, axes: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        counts = range(1, len(axes) + 1)
        self.flips = [[axis + 2 for axis in of] for count in counts for of in combinations(axes, count)]

    def forward(self, images: Tensor) -> Tensor:
        logits: list[Tensor] = [self.network(images)]
        for axes in self.flips:
            logits.append(torch.flip(self.network(torch.flip(images, axes)), axes))
        return torch.stack(logits).mean(0)


def mirrored(network: nn.Module, axes: Sequence[int]) -> nn.Module:
    """``network`` itself where there are no axes."""
    return Mirrored(network, axes) if axes else network
