"""A template from training masks, and the pieces that a mask consists of; numpy and scipy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.uint8]
Bool = NDArray[np.bool_]
Float = NDArray[np.float32]


def template(masks: Sequence[Mask], classes: int) -> Float:
    """Signed distances (voxels, positive inside) to a mean shape of each foreground class: (classes - 1, *S).

    ``masks``: labels, all of shape (*S); at least one of them shows each class. The masks are shifted to a common
    centre, for else their mean would be a blur without a shape, and averaged. The mean is cut at the level that leaves
    as many voxels as the class has on average, as nearly as can be (the Vorob'ev expectation of a random set); the
    largest piece of these is taken, so that what is deformed is in one piece.
    """
    shown = [mask for mask in masks if mask.any()]
    centres = np.array([centre(mask > 0) for mask in shown])
    common = centres.mean(axis=0).round()
    aligned = [shifted(mask, (common - own).round().astype(int)) for mask, own in zip(shown, centres, strict=True)]
    return np.stack([_mean_shape([mask == label for mask in aligned]) for label in range(1, classes)])


def _mean_shape(shapes: Sequence[Bool]) -> Float:
    present = [shape for shape in shapes if shape.any()]
    count = np.zeros(present[0].shape, dtype=np.int32)
    for shape in present:  # one by one: all at once would hold the data set a second time
        count += shape
    volumes = np.bincount(count.ravel())[::-1].cumsum()[::-1]  # of count >= 0, 1, 2, ...
    level = 1 + int(np.abs(volumes[1:] - count.sum() / len(present)).argmin())
    return signed_distance(largest_piece(count >= level))


def centre(shape: Bool) -> NDArray[np.float64]:
    """The mean position of its voxels, (d,)."""
    mean: NDArray[np.float64] = np.argwhere(shape).mean(axis=0)
    return mean


def shifted(mask: Mask, by: NDArray[np.int64]) -> Mask:
    """``mask`` moved by whole voxels; what leaves the frame is lost, what enters is background."""
    result = np.zeros_like(mask)
    steps = [int(np.clip(step, -size, size)) for step, size in zip(by, mask.shape, strict=True)]
    into = tuple(slice(max(0, s), min(n, n + s)) for s, n in zip(steps, mask.shape, strict=True))
    out_of = tuple(slice(max(0, -s), min(n, n - s)) for s, n in zip(steps, mask.shape, strict=True))
    result[into] = mask[out_of]
    return result


def signed_distance(shape: Bool) -> Float:
    """Voxels to the edge, which lies between two voxels: positive inside ``shape``, negative outside."""
    inside = ndimage.distance_transform_edt(shape)
    outside = ndimage.distance_transform_edt(~shape)
    return np.where(shape, inside - 0.5, 0.5 - outside).astype(np.float32)


def pieces(shape: Bool) -> int:
    """Connected components; voxels that touch at a corner are connected."""
    return int(_labelled(shape)[1])


def largest_piece(shape: Bool) -> Bool:
    labels, count = _labelled(shape)
    if count < 2:
        return shape
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(labels == 1 + int(sizes.argmax()))


def _labelled(shape: Bool) -> tuple[NDArray[np.signedinteger[Any]], int]:
    labels, count = ndimage.label(shape, structure=np.ones([3] * shape.ndim))
    return labels, int(count)
