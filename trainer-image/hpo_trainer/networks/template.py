"""Segmentation by deforming a template: φ = φ₀ ∘ L ∘ G (Bertrand's thesis, 2019, chapter 4).

The template φ₀ is positive inside a structure and negative outside. G is a global transformation (``geometric``), and
L(x) = x + u(x) a local one in the template's frame, whose displacements u are predicted at a low resolution. Wherever
L folds nowhere, the segmented mask has the template's topology: in one piece, without holes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpo_trainer.config import TemplateDeformationConfig
from hpo_trainer.networks.geometric import Affine, affine, apply, extents, grid, parameter_number, resample, sample
from hpo_trainer.networks.predictor import pooled_head

EDGE = 4.0
"""Voxels from the template's edge within which the field's predictor can tell how far away it is."""


class Deformed(NamedTuple):
    """``levels``: φ (N, classes, *S), positive inside; ``displacement``: u on the template's voxels, (N, d, *S)."""

    levels: Tensor
    displacement: Tensor


class TemplateNetwork(nn.Module):
    """A U-Net down to a coarse level and up to ``field_level``: G from its bottom, u from where it ends.

    u is of the template's points, and what the encoder sees is of the image's: so its maps are resampled by G's inverse
    before they are decoded, and the last convolution sees the template beside them. (The thesis leaves it to the
    network to know where G will move what it sees.) Both transformations start at the identity.
    ``template``: φ₀, (classes, *S), of the images' size, which is a multiple of 2^(depth - 1). Images
    (N, in_channels, *S) to Deformed.
    """

    template: Tensor

    def __init__(self, config: TemplateDeformationConfig, in_channels: int, template: Tensor) -> None:
        super().__init__()
        self._axes, self._kind = config.axes, config.transformation
        self._level, self._steps = min(config.field_level, config.depth - 1), config.integration_steps
        self.register_buffer("template", template[None])
        widths = [max(1, round(config.channels * config.channel_multiplier**i)) for i in range(config.depth)]
        self.encoder = nn.ModuleList(
            # a single one at full resolution, where it costs most
            _convolutions(config.axes, before, width, stride=1 if i == 0 else 2, count=1 if i == 0 else 2)
            for i, (before, width) in enumerate(zip([in_channels, *widths], widths, strict=False))
        )
        self.decoder = nn.ModuleList(
            _convolutions(config.axes, widths[i + 1] + widths[i], widths[i], count=1 if i == 0 else 2)
            for i in reversed(range(config.field_level, config.depth - 1))
        )
        head = [_convolutions(config.axes, widths[-1], widths[-1]) for _ in range(config.head_layers)]
        self.head = nn.Sequential(*head, pooled_head(config.axes, widths[-1], parameter_number(config.axes)))
        width = widths[self._level]
        self.field = _convolution(config.axes, width + len(template), config.axes)
        nn.init.zeros_(self.field.weight)
        nn.init.zeros_(self.field.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Deformed:
        maps = [images]
        for layer in self.encoder:
            maps.append(layer(maps[-1]))
        points, decoded = grid(images.shape[2:], images), maps[1 + self._level :]
        if self._kind != "Local":
            forth, back = self._global(maps[-1])
            points, decoded = apply(forth, points), [resample(of_level, back) for of_level in decoded]
        points = points.expand(len(images), *points.shape[1:])
        if self._kind == "Global":
            displacement = images.new_zeros(len(images), self._axes, *images.shape[2:])
        else:
            displacement = self._displacement(decoded, images.shape[2:])
            points = points + sample(displacement, points).movedim(1, -1)
        return Deformed(sample(self.template.expand(len(images), *self.template.shape[1:]), points), displacement)

    def _global(self, deepest: Tensor) -> tuple[Affine, Affine]:
        """G and its inverse."""
        return affine(self.head(deepest), self._axes)

    def _displacement(self, maps: list[Tensor], size: torch.Size) -> Tensor:
        """u in half the longest side, (N, d, *size): predicted coarsely, smoothed by a mean of 3 voxels, interpolated.

        ``maps``: in the template's frame, from ``field_level`` to the bottom.

        What the network gives is in coarse voxels: neighbours that differ by less than 1 fold nothing. With
        ``integration_steps`` it is a velocity, and u what comes of it.
        """
        features = maps[-1]
        for layer, skipped in zip(self.decoder, maps[-2::-1], strict=True):
            features = layer(torch.cat([_resize(features, skipped.shape[2:]), skipped], dim=1))
        shape = torch.tanh(_resize(self.template, features.shape[2:]) / EDGE)
        features = torch.cat([features, shape.expand(len(features), *shape.shape[1:])], dim=1)
        pool = functional.avg_pool2d if self._axes == 2 else functional.avg_pool3d
        coarse = pool(self.field(features), 3, stride=1, padding=1, count_include_pad=False)
        return _resize(integrated(coarse * (2 / max(coarse.shape[2:])), self._steps), size)


def integrated(velocity: Tensor, steps: int) -> Tensor:
    """Where a stationary ``velocity`` (N, d, *S), in half the longest side, has moved each voxel after time 1, less x.

    Scaling and squaring (Arsigny et al., MICCAI 2006; for networks Dalca et al., MICCAI 2018): the small step of time
    2^-``steps`` is composed with itself ``steps`` times. The more steps, the less can it fold. 0: the velocity itself.
    """
    displacement: Tensor = velocity / 2**steps
    points = grid(velocity.shape[2:], velocity)
    for _ in range(steps):
        displacement = displacement + sample(displacement, points + displacement.movedim(1, -1))
    return displacement


def jacobian_determinants(displacement: Tensor) -> Tensor:
    """det(I + ∂u/∂x) by forward differences, for ``displacement`` (N, d, *S) as ``TemplateNetwork`` gives it.

    Returns (N, S₁ - 1, ..., S_d - 1). Where it is negative, L folds; 1 keeps volumes.
    """
    axes = displacement.shape[1]
    size = displacement.shape[2:]
    steps = [2 * float(extent) / n for extent, n in zip(extents(size, displacement), size, strict=True)]
    columns = []
    for axis, step in enumerate(steps):
        difference = displacement.diff(dim=axis + 2) / step
        for other in range(axes):
            if other != axis:
                difference = difference.narrow(other + 2, 0, size[other] - 1)
        columns.append(difference.movedim(1, -1))
    gradient = torch.stack(columns, dim=-1)  # (N, ..., component, axis)
    determinants: Tensor = torch.linalg.det(gradient + torch.eye(axes, device=gradient.device, dtype=gradient.dtype))
    return determinants


def _convolution(axes: int, channels: int, outputs: int, stride: int = 1) -> nn.Conv2d | nn.Conv3d:
    return (nn.Conv2d if axes == 2 else nn.Conv3d)(channels, outputs, 3, stride=stride, padding=1)


def _convolutions(axes: int, channels: int, outputs: int, stride: int = 1, count: int = 2) -> nn.Module:
    """``count`` convolutions with instance normalisation and leaky ReLU, the first of ``stride``."""
    norm = nn.InstanceNorm2d if axes == 2 else nn.InstanceNorm3d
    layers: list[nn.Module] = []
    for before, step in [(channels, stride), *[(outputs, 1)] * (count - 1)]:
        layers += [_convolution(axes, before, outputs, step), norm(outputs), nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers)


def _resize(maps: Tensor, size: torch.Size) -> Tensor:
    mode = "bilinear" if maps.ndim == 4 else "trilinear"
    return functional.interpolate(maps, size=size, mode=mode, align_corners=False)
