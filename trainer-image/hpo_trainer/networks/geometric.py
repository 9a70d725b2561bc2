"""Geometric transformations with an exact inverse, predicted from the image that they resample.

Notation: a point is its offset from the image's centre, x = (x₁, ..., x_d) in the order of the tensor's axes, in units
of half the longest side, so that a rotation does not shear oblong images. The map is G(x) = R S x + t with scales
S = diag(s), rotations R and translation t: equation 4.8 of Bertrand's thesis (Hyper-parameter optimization in deep
learning and transfer learning, 2019), whose C₊ and C₋ are the choice of origin. An image is resampled as I ∘ G.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpo_trainer.networks.predictor import Predictor

TRANSLATION = 1.0
"""Largest translation, in half the longest side: from the centre of the longest axis to its end."""
ROTATION = math.pi / 2
"""Largest rotation, radians."""
SCALE = 4.0
"""Largest scale; the smallest is its inverse, so every map has an inverse."""


class Affine(NamedTuple):
    """x ↦ ``linear`` x + ``shift``; ``linear``: (N, d, d), ``shift``: (N, d)."""

    linear: Tensor
    shift: Tensor


def parameter_number(axes: int) -> int:
    """Translations and scales along each axis, a rotation in each plane: 5 in 2D, 9 in 3D."""
    return 2 * axes + len(planes(axes))


def planes(axes: int) -> list[tuple[int, int]]:
    """The pairs of axes that a rotation turns."""
    return [(i, j) for i in range(axes) for j in range(i + 1, axes)]


def affine(parameters: Tensor, axes: int) -> tuple[Affine, Affine]:
    """G and its inverse from unbounded ``parameters`` (N, 5 or 9): translations, rotations, scales.

    0 is the identity, and each parameter is bounded by a hyperbolic tangent: one wild prediction must not throw the
    image out of the frame, where no gradient leads back. The inverse is S⁻¹Rᵀ(x - t), with no system solved.
    """
    translation, rotation, scale = torch.split(torch.tanh(parameters), [axes, len(planes(axes)), axes], dim=1)
    shift = translation * TRANSLATION
    scales = torch.exp(scale * math.log(SCALE))
    turned = rotations(rotation * ROTATION, axes)
    inverse = turned.mT / scales[:, :, None]
    return Affine(turned * scales[:, None, :], shift), Affine(inverse, -(inverse @ shift[:, :, None])[:, :, 0])


def rotations(angles: Tensor, axes: int) -> Tensor:
    """The product of the rotations in each of ``planes``; ``angles``: (N, 1 or 3), radians. Returns (N, d, d)."""
    product = torch.eye(axes, device=angles.device, dtype=angles.dtype).expand(len(angles), axes, axes)
    for angle, (i, j) in zip(angles.T, planes(axes), strict=True):
        turn = torch.eye(axes, device=angles.device, dtype=angles.dtype).repeat(len(angles), 1, 1)
        turn[:, i, i] = turn[:, j, j] = torch.cos(angle)
        turn[:, j, i] = torch.sin(angle)
        turn[:, i, j] = -turn[:, j, i]
        product = product @ turn
    return product


def extents(size: torch.Size | tuple[int, ...], like: Tensor) -> Tensor:
    """Half the sides of an image of ``size``, in half its longest side: (d,), the greatest 1."""
    sides = torch.tensor(list(size), device=like.device, dtype=like.dtype)
    return sides / sides.max()


def grid(size: torch.Size | tuple[int, ...], like: Tensor) -> Tensor:
    """The voxels' centres: (1, *size, d)."""
    lines = [
        ((2 * torch.arange(n, device=like.device, dtype=like.dtype) + 1) / n - 1) * extent
        for n, extent in zip(size, extents(size, like), strict=True)
    ]
    return torch.stack(torch.meshgrid(*lines, indexing="ij"), dim=-1)[None]


def apply(transform: Affine, points: Tensor) -> Tensor:
    """``points``: (N or 1, ..., d); returns (N, ..., d)."""
    shape = (len(transform.shift), *[1] * (points.ndim - 2), -1)
    return torch.einsum("nij,n...j->n...i", transform.linear, points.expand(shape[0], *points.shape[1:])) + (
        transform.shift.reshape(shape)
    )


def sample(images: Tensor, points: Tensor) -> Tensor:
    """Values of ``images`` (N, C, *S) at ``points`` (N, *T, d), linear between voxels: (N, C, *T).

    Outside the image, the nearest value inside it.
    """
    # torch counts axes from the last one, and each from -1 to 1
    place = (points / extents(images.shape[2:], points)).flip(-1)
    return functional.grid_sample(images, place, mode="bilinear", padding_mode="border", align_corners=False)


def resample(images: Tensor, transform: Affine) -> Tensor:
    """I ∘ G, of the same size."""
    return sample(images, apply(transform, grid(images.shape[2:], images)))


class GeometricWrapper(nn.Module):
    """A network that sees its images transformed, and whose outputs are transformed back (thesis, section 3.4.1).

    A network of three layers predicts the transformation from the image. It starts at the identity: until it is
    trained, the outputs are those of ``network``, up to the rounding of coordinates. Images (N, C, *S) to what
    ``network`` gives, (N, K, *S).
    """

    def __init__(self, network: nn.Module, axes: int, in_channels: int, width: int) -> None:
        super().__init__()
        self.network, self._axes = network, axes
        self.predictor = Predictor(axes, in_channels, parameter_number(axes), width)

    def forward(self, images: Tensor) -> Tensor:
        forth, back = affine(self.predictor(images), self._axes)
        return resample(cast(Tensor, self.network(resample(images, forth))), back)
