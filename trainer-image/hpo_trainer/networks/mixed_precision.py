"""The U-Net in mixed precision. Imports MONAI, which takes a second."""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.nets.unet import UNet
from torch import Tensor


class MixedPrecisionUNet(UNet):
    """MONAI's U-Net whose convolutions read and write bfloat16; weights, gradients and outputs are of 32 bits.

    bfloat16 has the range of float32, so no gradient is scaled. Channels lie last in memory, which is faster here.
    """

    def __init__(self, spatial_dims: int, **options: Any) -> None:
        super().__init__(spatial_dims, **options)
        self.to(memory_format=torch.channels_last if spatial_dims == 2 else torch.channels_last_3d)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            logits: Tensor = super().forward(x)
        return logits.float()
