"""Random changes of training images, drawn from a generator that the caller derives from seed and epoch.

One affine map per image (rotation, scaling, shear and translation in one resampling), then intensities. Parameters are
drawn on the CPU whatever the device, so that a GPU sees the same images.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

ROTATION, SHEAR, SCALE, TRANSLATION = math.radians(15), 0.1, 0.1, 0.05
NOISE, GAMMA = 0.05, (0.7, 1.5)


def augment_images(images: Tensor, generator: Generator) -> Tensor:
    """Translation, shear, rotation, zoom and noise (Bertrand et al., ISBI 2017); ``images``: (N, 1, H, W)."""
    changed = _resample(images, random_affine(len(images), 2, generator), "bilinear")
    noise = torch.randn(images.shape, generator=generator) * NOISE
    return changed + noise.to(images.device)


def augment_pairs(images: Tensor, masks: Tensor, generator: Generator, *, mirror: bool = True) -> tuple[Tensor, Tensor]:
    """Mirroring of the first axis, rotation, scaling, gamma; ``images``: (N, C, *S), ``masks``: (N, *S), integers."""
    theta = random_affine(len(images), images.ndim - 2, generator)
    # theta's rows and columns are ordered (x, y, z) = (last, ..., first axis), so the first axis is the last column.
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    if mirror:
        theta[mirrored, :, -2] *= -1
    changed = _resample(images, theta, "bilinear")
    labels = _resample(masks[:, None].to(images.dtype), theta, "nearest")[:, 0].to(masks.dtype)
    low, high = GAMMA
    gamma = low * (high / low) ** torch.rand(len(images), generator=generator)
    return apply_gamma(changed, gamma.to(images.device)), labels


def random_affine(count: int, axes: int, generator: Generator) -> Tensor:
    """Maps from output to input, (count, axes, axes + 1): the linear part in voxels, the shift in half extents."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * 2 - 1

    linear = torch.eye(axes).expand(count, axes, axes).clone()
    for i in range(axes):
        for j in range(i):
            angle = uniform() * ROTATION
            rotation = torch.eye(axes).expand(count, axes, axes).clone()
            rotation[:, i, i] = rotation[:, j, j] = torch.cos(angle)
            rotation[:, i, j], rotation[:, j, i] = torch.sin(angle), -torch.sin(angle)
            linear = linear @ rotation
    shear = torch.eye(axes) + torch.triu(uniform(axes, axes) * SHEAR, diagonal=1)
    scale = 1 + uniform(1, 1) * SCALE
    return torch.cat([linear @ shear * scale, uniform(axes, 1) * TRANSLATION], dim=2)


def apply_gamma(images: Tensor, gamma: Tensor) -> Tensor:
    """Each image's intensities, mapped to [0, 1], raised to its ``gamma`` and mapped back; ``gamma``: (N,)."""
    flat = images.flatten(1)
    shape = (-1, *[1] * (images.ndim - 1))
    low = flat.amin(1).reshape(shape)
    extent = (flat.amax(1).reshape(shape) - low).clamp_min(1e-7)
    return ((images - low) / extent).clamp(0, 1) ** gamma.reshape(shape) * extent + low


def _resample(images: Tensor, theta: Tensor, mode: str) -> Tensor:
    # affine_grid's coordinates run from -1 to 1 on every axis: without this a rotation would shear oblong images.
    size = torch.tensor(images.shape[:1:-1], dtype=theta.dtype)
    aspect = torch.cat([size[None, :] / size[:, None], torch.ones(len(size), 1)], dim=1)
    grid = functional.affine_grid((theta * aspect).to(images.device, images.dtype), list(images.shape), False)
    padding = "border" if mode == "bilinear" else "zeros"
    return functional.grid_sample(images, grid, mode=mode, padding_mode=padding, align_corners=False)
