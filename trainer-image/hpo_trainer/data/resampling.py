"""Volumes on a common voxel spacing, and masks and predictions between the grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hpo_trainer.data.files import Image

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def common_spacing(spacings: Sequence[Sequence[float]], method: str) -> tuple[float, ...]:
    """The mean or median along each axis, in millimetres; ``method``: MeanSpacing or MedianSpacing."""
    middle = np.mean if method == "MeanSpacing" else np.median
    return tuple(np.asarray(middle(np.asarray(spacings), axis=0)).tolist())


def resample_image(image: Image, spacing: Sequence[float], target: Sequence[float]) -> Image:
    """``image``: (C, *S), linearly; its extent stays, so voxels come as near to ``target`` as whole numbers allow."""
    lengths = zip(image.shape[1:], spacing, target, strict=True)
    size = [max(1, round(length * old / new)) for length, old, new in lengths]
    return resized(torch.from_numpy(image)[None], size)[0].numpy()


def resample_mask(mask: Tensor, size: Sequence[int]) -> Tensor:
    """The label of the largest share at each voxel of the new grid, as nnU-Net does; ``mask``: (*S), uint8."""
    if tuple(mask.shape) == tuple(size):
        return mask
    shares = functional.one_hot(mask.long()).movedim(-1, 0)[None].to(torch.float32)
    return resized(shares, size)[0].argmax(0).to(mask.dtype)


def resized(values: Tensor, size: Sequence[int]) -> Tensor:
    """``values``: (N, C, *S) on a grid of ``size`` with the same extent, linearly."""
    if tuple(values.shape[2:]) == tuple(size):
        return values
    return functional.interpolate(values, list(size), mode=MODES[len(size)], align_corners=False)
