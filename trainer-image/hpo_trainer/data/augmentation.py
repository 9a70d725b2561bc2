"""Random changes of training images, drawn from a generator that the caller derives from seed and epoch.

All that moves voxels is one map per image, so that each image is resampled once; then its intensities are changed.
Parameters are drawn on the CPU whatever the device, so that a GPU sees the same images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from hpo_trainer.data.smoothing import gaussian_blur

NOISE, GAMMA = 0.05, (0.7, 1.5)
CONTROL_SPACING = 8
"""Voxels between the control points of an elastic deformation."""
INTERPOLATION = {2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class Extents:
    """How far images are changed at most; each image draws its own values, uniformly, on either side of no change.

    ``rotation``: degrees about each axis. ``shear``. ``scaling``: share of the size. ``translation``: share of half the
    extent along each axis. ``mirror_axes``: mirrored in every second image, counted from the first axis. ``elastic``:
    standard deviation of the control points' displacements, in distances between them; what stays below 0.3 hardly
    ever folds. ``noise``: its standard deviation, in the image's. ``blur``: the Gaussian's, in voxels.
    """

    rotation: float = 15.0
    shear: float = 0.1
    scaling: float = 0.1
    translation: float = 0.05
    mirror_axes: tuple[int, ...] = (0,)
    elastic: float = 0.0
    noise: float = 0.0
    blur: float = 0.0


DEFAULTS = Extents()


def augment_images(images: Tensor, generator: Generator) -> Tensor:
    """Translation, shear, rotation, zoom and noise (Bertrand et al., ISBI 2017); ``images``: (N, 1, H, W)."""
    grid = _affine_grid(images, random_affine(len(images), 2, generator))
    noise = torch.randn(images.shape, generator=generator) * NOISE
    return _sample(images, grid, "bilinear") + noise.to(images.device)


def augment_pairs(
    images: Tensor, masks: Tensor, generator: Generator, extents: Extents = DEFAULTS
) -> tuple[Tensor, Tensor]:
    """Moved alike, then gamma, blur and noise of the images; ``images``: (N, C, *S), ``masks``: (N, *S), integers.

    Elasticity, blur and noise draw no random numbers where their extent is 0.
    """
    theta = random_affine(len(images), images.ndim - 2, generator, extents)
    _mirror(theta, extents.mirror_axes, generator)
    low, high = GAMMA
    gamma = low * (high / low) ** torch.rand(len(images), generator=generator)
    grid = _affine_grid(images, theta)
    if extents.elastic > 0:
        grid = grid + random_displacements(images, extents.elastic, generator)
    changed = _sample(images, grid, "bilinear")
    labels = _sample(masks[:, None].to(images.dtype), grid, "nearest")[:, 0].to(masks.dtype)
    changed = apply_gamma(changed, gamma.to(images.device))
    if extents.blur > 0:
        widths = torch.rand(len(images), generator=generator) * extents.blur
        changed = gaussian_blur(changed, widths.to(images.device), extents.blur)
    if extents.noise > 0:
        changed = changed + _random_noise(changed, extents.noise, generator)
    return changed, labels


def random_affine(count: int, axes: int, generator: Generator, extents: Extents = DEFAULTS) -> Tensor:
    """Maps from output to input, (count, axes, axes + 1): the linear part in voxels, the shift in half extents."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * 2 - 1

    linear = torch.eye(axes).expand(count, axes, axes).clone()
    for i in range(axes):
        for j in range(i):
            angle = uniform() * math.radians(extents.rotation)
            rotation = torch.eye(axes).expand(count, axes, axes).clone()
            rotation[:, i, i] = rotation[:, j, j] = torch.cos(angle)
            rotation[:, i, j], rotation[:, j, i] = torch.sin(angle), -torch.sin(angle)
            linear = linear @ rotation
    shear = torch.eye(axes) + torch.triu(uniform(axes, axes) * extents.shear, diagonal=1)
    scale = 1 + uniform(1, 1) * extents.scaling
    return torch.cat([linear @ shear * scale, uniform(axes, 1) * extents.translation], dim=2)


def random_displacements(images: Tensor, elastic: float, generator: Generator) -> Tensor:
    """(N, *S, axes), on the images' device: what an elastic deformation adds to the coordinates of ``grid_sample``.

    Control points are displaced by normal numbers, whose standard deviation is ``elastic`` times a uniform one of each
    image; what lies between them follows linearly.
    """
    sizes = images.shape[2:]
    points = [max(2, math.ceil((size - 1) / CONTROL_SPACING) + 1) for size in sizes]
    strength = torch.rand(len(images), generator=generator) * elastic * CONTROL_SPACING
    displaced = torch.randn(len(images), len(sizes), *points, generator=generator)
    displaced *= strength.reshape(-1, *[1] * (images.ndim - 1))
    # A voxel is 2 / size in grid_sample's coordinates, whose order is (x, y, z) = (last, ..., first axis).
    displaced *= (2 / torch.tensor(sizes[::-1])).reshape(-1, *[1] * len(sizes))
    field = functional.interpolate(
        displaced.to(images.device, images.dtype), list(sizes), mode=INTERPOLATION[len(sizes)], align_corners=True
    )
    return field.movedim(1, -1)


def apply_gamma(images: Tensor, gamma: Tensor) -> Tensor:
    """Each image's intensities, mapped to [0, 1], raised to its ``gamma`` and mapped back; ``gamma``: (N,)."""
    flat = images.flatten(1)
    shape = (-1, *[1] * (images.ndim - 1))
    low = flat.amin(1).reshape(shape)
    extent = (flat.amax(1).reshape(shape) - low).clamp_min(1e-7)
    return ((images - low) / extent).clamp(0, 1) ** gamma.reshape(shape) * extent + low


def _mirror(theta: Tensor, axes: tuple[int, ...], generator: Generator) -> None:
    """In place: the output is mirrored before it is mapped. Without axes one number is drawn all the same.

    So whether mirror images are allowed changes nothing else of an augmentation.
    """
    for axis in axes or (0,):
        mirrored = torch.rand(len(theta), generator=generator) < 0.5
        if axes:
            # theta's rows and columns are ordered (x, y, z) = (last, ..., first axis); its last column is the shift.
            theta[mirrored, :, -2 - axis] *= -1


def _random_noise(images: Tensor, extent: float, generator: Generator) -> Tensor:
    shape = (-1, *[1] * (images.ndim - 1))
    strength = (torch.rand(len(images), generator=generator) * extent).reshape(shape).to(images.device)
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    return noise * strength * images.flatten(1).std(1).reshape(shape)


def _affine_grid(images: Tensor, theta: Tensor) -> Tensor:
    # affine_grid's coordinates run from -1 to 1 on every axis: without this a rotation would shear oblong images.
    size = torch.tensor(images.shape[:1:-1], dtype=theta.dtype)
    aspect = torch.cat([size[None, :] / size[:, None], torch.ones(len(size), 1)], dim=1)
    return functional.affine_grid((theta * aspect).to(images.device, images.dtype), list(images.shape), False)


def _sample(images: Tensor, grid: Tensor, mode: str) -> Tensor:
    padding = "border" if mode == "bilinear" else "zeros"
    return functional.grid_sample(images, grid, mode=mode, padding_mode=padding, align_corners=False)
