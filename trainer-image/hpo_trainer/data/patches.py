"""Training images at one size: padded as a whole, or patches cut from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from hpo_trainer.data.resampling import resample_mask
from hpo_trainer.data.segmentation import Sample

FOREGROUND_PATCHES = 0.5
"""Share of the patches that are centred on a foreground voxel, since most of a volume is background."""

RESIDENT = 0.3
"""Share of the GPU's free memory that training images may take, so that they are sent there once, not at each step."""


@dataclass(frozen=True)
class TrainingImage:
    """``image``: (C, *S), ``mask``: (*S), padded; ``foreground``: flat indices into the mask, (F,)."""

    image: Tensor
    mask: Tensor
    foreground: Tensor


def training_image(sample: Sample, size: Sequence[int]) -> TrainingImage:
    """The mask on the image's grid, both padded; the foreground is looked for once, not at each patch."""
    mask = resample_mask(sample.mask, sample.image.shape[1:])
    image, mask = pad(Sample(sample.image, mask, sample.case), size)
    return TrainingImage(image, mask, mask.flatten().nonzero()[:, 0].to(torch.int32))


def resident(images: Sequence[TrainingImage], device: torch.device) -> list[TrainingImage]:
    """On the GPU if they fill no more than ``RESIDENT`` of what is free there; else where they are."""
    size = sum(image.image.nbytes + image.mask.nbytes for image in images)
    if device.type != "cuda" or size > RESIDENT * torch.cuda.mem_get_info(device)[0]:
        return list(images)
    return [TrainingImage(i.image.to(device), i.mask.to(device), i.foreground) for i in images]


def whole_size(samples: Sequence[Sample], depth: int) -> tuple[int, ...]:
    """The size that holds every image: a multiple of 2^(depth-1), twice that at least.

    The U-Net halves the size depth - 1 times, and its instance normalisation needs more than one voxel at the bottom.
    """
    step = 2 ** (depth - 1)
    largest = [max(lengths) for lengths in zip(*(sample.image.shape[1:] for sample in samples), strict=True)]
    return tuple(max(2, math.ceil(length / step)) * step for length in largest)


def holding(shape: Sequence[int], size: Sequence[int], step: int) -> tuple[int, ...]:
    """``size``, grown where ``shape`` is larger, in multiples of ``step``: images met later may be the largest."""
    return tuple(max(wanted, math.ceil(length / step) * step) for length, wanted in zip(shape, size, strict=True))


def pad(sample: Sample, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Grow image and mask at their far ends to ``size`` at least: the image by its minimum, the mask by background."""
    image, mask = sample.image, sample.mask
    grown = functional.pad(image, _growth(image.shape[1:], size), value=float(image.min()))
    return grown, functional.pad(mask, _growth(mask.shape, size))


def _growth(shape: Sequence[int], size: Sequence[int]) -> list[int]:
    growth: list[int] = []
    for length, wanted in zip(reversed(shape), reversed(size), strict=True):
        growth += [0, max(0, wanted - length)]
    return growth


def random_patch(sample: TrainingImage, size: Sequence[int], random: Generator) -> tuple[Tensor, Tensor]:
    """A patch (C, *size) and its mask (*size), at a random place or around a random foreground voxel; views."""
    spare = [length - wanted for length, wanted in zip(sample.mask.shape, size, strict=True)]
    start = (torch.rand(len(spare), generator=random) * (torch.tensor(spare) + 1)).long().tolist()
    centred, which = torch.rand(2, generator=random).tolist()
    if centred < FOREGROUND_PATCHES and len(sample.foreground):
        voxel = int(sample.foreground[int(which * len(sample.foreground))])
        centre = _unravelled(voxel, sample.mask.shape)
        start = [min(max(c - n // 2, 0), s) for c, n, s in zip(centre, size, spare, strict=True)]
    window = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
    return sample.image[(slice(None), *window)], sample.mask[window]


def _unravelled(index: int, shape: Sequence[int]) -> list[int]:
    position: list[int] = []
    for length in reversed(shape):
        index, rest = divmod(index, length)
        position.append(rest)
    return position[::-1]
