"""What a trial has to compute with, and what of a network and an image fits there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

VOXELS = ((0, 64**3), (10, 96**3), (22, 128**3))
"""From this many GiB of GPU memory on (0: none, the processor), a patch of so many voxels trains with two in a batch.

A rule of thumb with room to spare, not measured here: nnU-Net's plans (Isensee et al., Nature Methods 2021) fit 128³
into 11 GiB at 16 bits, and training is in 32 bits unless a study says otherwise.
"""
LEAST_BOTTOM = 4
"""Voxels along each axis at the bottom of a U-Net, as nnU-Net keeps them."""


@dataclass(frozen=True)
class Machine:
    """``gpu_memory``: GiB of each trial's GPU, 0 for none. ``parallelism``: trials at once."""

    gpu_memory: float
    parallelism: int

    @property
    def has_gpu(self) -> bool:
        return self.gpu_memory > 0

    @property
    def patch_voxels(self) -> int:
        """The most in a training patch."""
        return next(voxels for least, voxels in reversed(VOXELS) if self.gpu_memory >= least)


def deepest(size: Sequence[int], most: int = 6) -> int:
    """Levels of a U-Net on images of ``size``, such that its bottom is not smaller than LEAST_BOTTOM."""
    return max(1, min(most, 1 + int(math.log2(max(1, min(size) / LEAST_BOTTOM)))))


def patch(size: Sequence[int], voxels: int, depth: int) -> tuple[int, ...]:
    """Of an image's shape, no larger than the image and no more than ``voxels``; multiples of 2^(depth-1).

    The longest axis is shortened first, so that the patch becomes as much of a cube as the image lets it.
    """
    step = 2 ** (depth - 1)
    sides = [max(2 * step, length // step * step) for length in size]
    while math.prod(sides) > voxels and max(sides) > 2 * step:
        sides[sides.index(max(sides))] -= step
    return tuple(sides)
