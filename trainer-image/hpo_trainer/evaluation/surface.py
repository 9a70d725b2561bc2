"""How far the outline of a predicted structure lies from the true one, in millimetres.

The outline of a structure is its boundary voxels: those with a face neighbour outside of it or outside of the image.
Distances are Euclidean between voxel centres, exact (scipy's distance transform with the voxel's spacing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Bool = NDArray[np.bool_]
Float = NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceDistances:
    """``predicted``: (P,), mm from each boundary voxel of the prediction to the nearest of the truth; ``true``: (T,),
    the other way. Both structures have at least one voxel."""

    predicted: Float
    true: Float

    def hausdorff(self, percentile: float = 95.0) -> float:
        """The greater of the two directed distances (mm), at that percentile of the boundary; 100: the maximum."""
        return float(max(np.percentile(self.predicted, percentile), np.percentile(self.true, percentile)))

    def surface_dice(self, tolerance: float) -> float:
        """Share of both boundaries that lies within ``tolerance`` (mm) of the other: the normalised surface distance
        (Nikolov et al., Deep learning to achieve clinically applicable segmentation, 2018), on boundary voxels."""
        near = int((self.predicted <= tolerance).sum()) + int((self.true <= tolerance).sum())
        return near / (len(self.predicted) + len(self.true))


def surface_distances(predicted: Bool, true: Bool, spacing: Sequence[float]) -> SurfaceDistances:
    """Of two structures (*S), neither empty; ``spacing``: mm from voxel to voxel along each axis."""
    window = _bounding_box(predicted | true)  # beyond it there is nothing to measure
    edges = [boundary(predicted)[window], boundary(true)[window]]
    to_predicted, to_true = (
        np.asarray(ndimage.distance_transform_edt(~edge, sampling=tuple(spacing)), dtype=np.float64) for edge in edges
    )
    return SurfaceDistances(to_true[edges[0]], to_predicted[edges[1]])


def surface_metrics(predicted: Bool, true: Bool, spacing: Sequence[float], tolerance: float) -> tuple[float, float]:
    """The 95th percentile of the Hausdorff distance (mm), and the surface Dice at ``tolerance`` (mm).

    Where neither shows the structure both are NaN. Where one of them alone does there is no distance; it counts as the
    image's diagonal, the worst that there can be, and the surface Dice as 0, so that missing a structure never pays.
    """
    shown = bool(predicted.any()), bool(true.any())
    if not any(shown):
        return float("nan"), float("nan")
    if not all(shown):
        return float(np.linalg.norm(np.multiply(true.shape, spacing))), 0.0
    distances = surface_distances(predicted, true, spacing)
    return distances.hausdorff(), distances.surface_dice(tolerance)


def boundary(shape: Bool) -> Bool:
    """Its voxels that have a face neighbour outside of it, or lie on the image's border."""
    eroded: Any = ndimage.binary_erosion(shape)
    return shape & ~np.asarray(eroded, dtype=np.bool_)


def _bounding_box(shape: Bool) -> tuple[slice, ...]:
    return tuple(
        slice(int(found[0]), int(found[-1]) + 1)
        for found in (
            np.flatnonzero(shape.any(axis=tuple(other for other in range(shape.ndim) if other != axis)))
            for axis in range(shape.ndim)
        )
    )
