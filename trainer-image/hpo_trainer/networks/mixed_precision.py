"""The U-Net in mixed precision. Imports MONAI, which takes a second."""

from __future__ import annotations

import math
from typing import Any

import torch
from monai.networks.nets.unet import UNet
from torch import Tensor

LEAST_VOXELS = 3
"""On a processor, convolutions of fewer voxels along an axis stay in 32 bits: their weights' gradients in bfloat16 hold
memory that nobody wrote, sometimes NaN (seen with torch 2.13: inputs of 2 voxels in 3D, of 1 where they are halved)."""


class MixedPrecisionUNet(UNet):
    """MONAI's U-Net whose convolutions read and write bfloat16; weights, gradients and outputs are of 32 bits.

    bfloat16 has the range of float32, so no gradient is scaled. Channels lie last in memory, which is faster here.
    """

    def __init__(self, spatial_dims: int, **options: Any) -> None:
        super().__init__(spatial_dims, **options)
        self.to(memory_format=torch.channels_last if spatial_dims == 2 else torch.channels_last_3d)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        bottom = min(x.shape[2:]) // math.prod(self.strides)
        trusted = x.device.type != "cpu" or bottom >= LEAST_VOXELS
        with torch.autocast(x.device.type, torch.bfloat16, enabled=trusted):
            logits: Tensor = super().forward(x)
        return logits.float()
