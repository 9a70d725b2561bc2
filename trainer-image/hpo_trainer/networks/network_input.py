"""What a segmentation network takes, for those who hand it images outside of training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkInput:
    """``axes``: of the images, 2 or 3. ``size``: that they are padded to at their far ends, or of a patch.

    ``step``: a multiple of it is each side. ``spacing``: to which images are resampled before, in millimetres along
    each axis; None: they are not.
    ``mirrored_axes``: over whose mirror images predictions are averaged.
    """

    axes: int
    size: tuple[int, ...]
    step: int
    is_patch: bool
    normalization: str
    spacing: tuple[float, ...] | None
    mirrored_axes: tuple[int, ...] = ()
