"""The small network that predicts the parameters of a transformation from an image or from feature maps."""

from __future__ import annotations

import math
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

POOLED = 4
"""Cells along each axis in which features are averaged."""


class Predictor(nn.Module):
    """Three layers: two convolutions of stride 2 and leaky ReLU, one linear layer that starts at 0.

    (N, in_channels, *S) of any size to (N, outputs). Features are averaged in 4 cells along each axis, where the thesis
    averages over the whole map: a mean over all places cannot say where something is, which a translation must know.
    No normalisation: that of each image by itself would hide its brightness and contrast.
    """

    def __init__(self, axes: int, in_channels: int, outputs: int, width: int) -> None:
        super().__init__()
        convolution = nn.Conv2d if axes == 2 else nn.Conv3d
        self.features = nn.Sequential(
            convolution(in_channels, width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.01),
            convolution(width, width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.01),
        )
        self.head = pooled_head(axes, width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.features(inputs)))


def pooled_head(axes: int, width: int, outputs: int) -> nn.Module:
    """Averages in cells, then a linear layer whose outputs start at 0: (N, width, *S) to (N, outputs)."""
    return nn.Sequential(PoolToCells(axes), nn.Flatten(), GentleLinear(width * POOLED**axes, outputs))


class GentleLinear(nn.Linear):
    """A linear layer of n inputs that starts at 0, its outputs divided by √n.

    A step of Adam moves every weight by the learning rate. All together would move the outputs by n times that, and
    the very first step would throw the image out of the frame.
    """

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) / math.sqrt(self.in_features)


class PoolToCells(nn.Module):
    """Means in a grid of 4 cells along each axis; a shorter axis repeats its values."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        self._axes = axes

    def forward(self, features: Tensor) -> Tensor:
        pool = functional.adaptive_avg_pool2d if self._axes == 2 else functional.adaptive_avg_pool3d
        means: Tensor = pool(features, POOLED)
        return means
