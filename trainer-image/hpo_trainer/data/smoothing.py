"""Gaussian blur, a width for each image."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

CUT = 3.0
"""Standard deviations after which the kernel ends."""


def gaussian_blur(images: Tensor, widths: Tensor, widest: float) -> Tensor:
    """``images``: (N, C, *S), blurred by the standard deviations ``widths``: (N,), in voxels, none above ``widest``.

    Edges are repeated. One convolution along each axis.
    """
    radius = max(1, math.ceil(CUT * widest))
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (offsets / widths.clamp_min(1e-3)[:, None]) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(images.shape[1], dim=0)
    blurred = images
    for axis in range(2, images.ndim):
        lines = blurred.movedim(axis, -1)
        rows = lines.reshape(len(kernels), -1, lines.shape[-1])
        rows = functional.pad(rows, (radius, radius), mode="replicate").transpose(0, 1)
        smooth = functional.conv1d(rows, kernels[:, None], groups=len(kernels)).transpose(0, 1)
        blurred = smooth.reshape(lines.shape).movedim(-1, axis)
    return blurred
