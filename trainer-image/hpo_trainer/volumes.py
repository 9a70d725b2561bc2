"""From the classes of slices to a decision on their volume.

A network that looks at one slice at a time gives each slice of a volume a distribution over the classes. Its *class
curves* are these distributions in the order of the slices: an array (S, C), entry (z, c) the probability P_c(z) that
slice z shows class c. Two decisions:

- ``majority_vote``: one class for the whole volume (Bertrand et al., ISBI 2017, section 3.3);
- ``regions``: which slices show which part of the body, as blocks in anatomical order (Bertrand's thesis, 2019, section
  2.6.4, equation 2.23), usually of curves that ``smooth`` has freed of single wrong slices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Curves = NDArray[np.float64]
Labels = NDArray[np.int64]
Direction = Literal["Forward", "Backward", "Either"]
REACH = 4
"""How many standard deviations of the Gaussian filter count; what lies beyond weighs less than 1e-4."""


@dataclass(frozen=True)
class Block:
    """Slices ``first`` to ``last``, both included, of class ``label``."""

    label: int
    first: int
    last: int


@dataclass(frozen=True)
class Regions:
    """``labels``: the class of each slice, (S,). ``total``: the sum of the class curves over it, at most S."""

    labels: Labels
    total: float

    @property
    def blocks(self) -> tuple[Block, ...]:
        """In the order of the slices."""
        edges = [0, *(np.flatnonzero(np.diff(self.labels)) + 1).tolist(), len(self.labels)]
        return tuple(Block(int(self.labels[a]), a, b - 1) for a, b in pairwise(edges))


def majority_vote(curves: Curves) -> int:
    """The class that most slices of one volume are given (Bertrand et al., ISBI 2017, section 3.3).

    ``curves``: (S, C). Of classes with as many slices the one with the greater sum of probabilities wins, then the
    first. Raises ValueError for curves that are none.
    """
    checked = _checked(curves)
    votes = np.bincount(checked.argmax(1), minlength=checked.shape[1])
    leading = np.flatnonzero(votes == votes.max())
    return int(leading[checked.sum(0)[leading].argmax()])


def majority_votes(curves: Curves, volumes: Labels) -> dict[int, int]:
    """The class of each volume, by volume number: slice z of ``curves`` (N, C) is of volume ``volumes[z]`` (N,)."""
    if volumes.shape != curves.shape[:1]:
        raise ValueError(f"expected one volume number for each of {len(curves)} slices, found {volumes.shape}")
    return {int(volume): majority_vote(curves[volumes == volume]) for volume in np.unique(volumes)}


def smooth(curves: Curves, deviation: float) -> Curves:
    """Each class curve under a Gaussian filter of standard deviation ``deviation``, in slices (0: as it is).

    ``curves``: (S, C). Where the filter reaches beyond the volume, the weights inside are scaled to a sum of 1; so
    distributions stay distributions, and a constant curve stays constant. Raises ValueError.
    """
    checked = _checked(curves)
    if not (math.isfinite(deviation) and deviation >= 0):
        raise ValueError(f"expected a standard deviation of at least 0 slices, found {deviation}")
    reach = min(math.ceil(REACH * deviation), len(checked) - 1)
    if reach == 0:
        return checked.copy()
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)

    def filtered(curve: Curves) -> Curves:
        return np.convolve(curve, weights)[reach : reach + len(curve)]

    inside = filtered(np.ones(len(checked)))
    return np.stack([filtered(curve) / inside for curve in checked.T], axis=1)


def regions(curves: Curves, order: Sequence[int], direction: Direction = "Forward") -> Regions:
    """The blocks of slices that maximise Σ_i Σ_{z in block i} P_i(z): equation 2.23, exactly.

    ``curves``: (S, C). ``order``: classes as they follow each other in the body (legs, pelvis, abdomen, chest, head);
    each has at most one block, blocks keep the order, and a class left out of ``order`` is given to no slice.
    The thesis scans one way: ``Forward``, the first of ``order`` has the lowest slices. ``Backward`` is the other way,
    and ``Either`` takes the way with the greater total, forward if they are equal: for volumes whose headers do not
    tell which end is up. Of equally good blocks those are taken whose every transition comes latest in the scan.

    The thesis tries all sets of crossings of neighbouring curves; dynamic programming finds the same maximum in
    O(S · len(order)). Every slice gets a class, since probabilities are not negative. Raises ValueError.
    """
    checked = _checked(curves)
    if not order or len(set(order)) < len(order) or not set(order) <= set(range(checked.shape[1])):
        raise ValueError(f"expected different classes below {checked.shape[1]} in order, found {list(order)}")
    forward = _scan(checked, order) if direction != "Backward" else None
    backward = _scan(checked[::-1], order) if direction != "Forward" else None
    if backward is None or (forward is not None and forward.total >= backward.total):
        assert forward is not None
        return forward
    return Regions(backward.labels[::-1], backward.total)


def _scan(curves: Curves, order: Sequence[int]) -> Regions:
    """``total[r]``: the best sum up to this slice if it lies in region r; the slice before lies in r or an earlier one.

    Of optimal labellings the slice-by-slice minimum is one again, and the backward pass, which takes the lowest region
    wherever it may choose, finds it.
    """
    gains = curves[:, list(order)]
    numbers = np.arange(gains.shape[1])
    came_from = np.zeros(gains.shape, dtype=np.intp)
    total = gains[0].copy()
    for z in range(1, len(gains)):
        best = np.maximum.accumulate(total)
        rises = np.concatenate([[True], best[1:] > best[:-1]])
        came_from[z] = np.maximum.accumulate(np.where(rises, numbers, 0))
        total = gains[z] + best
    path = np.empty(len(gains), dtype=np.intp)
    path[-1] = total.argmax()
    for z in range(len(gains) - 1, 0, -1):
        path[z - 1] = came_from[z, path[z]]
    return Regions(np.asarray(order, dtype=np.int64)[path], float(total.max()))


def _checked(curves: Curves) -> Curves:
    values = np.asarray(curves, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"expected class curves of shape (slices, classes), found {values.shape}")
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError("expected probabilities, found negative, NaN or infinite values among the class curves")
    return values
