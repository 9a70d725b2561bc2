"""Many climbs in step: a projected BFGS method for several starts in one array, each evaluation one call for all.

Every start keeps a matrix of its own (Nocedal & Wright 2006, "Numerical Optimization", eqs. 6.17 and 6.20) and moves
within the unit cube: coordinates at a bound that want to leave it stay (Bertsekas 1982, "Projected Newton Methods").
A step that gains too little is shortened, while the other starts go on. Coordinates are measured in ``scale``, for a
surrogate its length scales, so that the first steps already know how far is far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo_engine.parameters import FloatArray

EVALUATIONS = 30
LONGEST = 0.5
"""A step in units of ``scale``, so that a bad matrix cannot throw a start across the space."""
ARMIJO = 1e-4
SHORTER = 0.3
ENOUGH = 1e-5
"""A start is done when a step gains, or promises, less than this."""

Slopes = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Values (s,) and slopes (s, d) at points (s, d)."""


@dataclass
class _Climbs:
    """The starts that still climb; arrays of (s, ...). H: inverse curvatures of the negative function."""

    x: FloatArray
    value: FloatArray
    slope: FloatArray
    H: FloatArray
    shrink: FloatArray

    def take(self, which: NDArray[np.bool_]) -> _Climbs:
        return _Climbs(self.x[which], self.value[which], self.slope[which], self.H[which], self.shrink[which])


def ascend(
    function: Slopes,
    starts: FloatArray,
    free: NDArray[np.bool_],
    scale: FloatArray,
    evaluations: int = EVALUATIONS,
) -> tuple[FloatArray, FloatArray]:
    """Where each of ``starts`` (s, d) ends, and the values (s,) there; never lower than at the start.

    ``free`` (s, d): what may be moved, within [0, 1]; everything else, NaN too, stays as it is. At most
    ``evaluations`` calls of ``function``.
    """
    ends, (values, slopes) = starts.copy(), function(starts)
    ends_values, alive = values.copy(), np.flatnonzero(free.any(axis=1))
    d = starts.shape[1]
    now = _Climbs(
        ends[alive],
        values[alive],
        np.where(free, slopes, 0.0)[alive] * scale,
        np.tile(np.eye(d), (len(alive), 1, 1)),
        np.ones(len(alive)),
    )
    for _ in range(evaluations - 1):
        if len(alive) == 0:
            break
        now, done = _step(function, now, free[alive], scale)
        ends[alive], ends_values[alive] = now.x, now.value
        alive, now = alive[~done], now.take(~done)
    return ends, ends_values


def _step(
    function: Slopes, now: _Climbs, free: NDArray[np.bool_], scale: FloatArray
) -> tuple[_Climbs, NDArray[np.bool_]]:
    """One evaluation of every climb, and which of them are done."""
    direction = _directions(now, free)
    there = np.where(free, np.clip(now.x + now.shrink[:, None] * direction * scale, 0.0, 1.0), now.x)
    step = np.where(free, there - now.x, 0.0) / scale
    promise = (now.slope * step).sum(axis=1)
    value, slope = function(there)
    slope = np.where(free, slope, 0.0) * scale
    better = (value >= now.value + ARMIJO * promise) & (promise > 0)
    gain = np.where(better, value - now.value, 0.0)
    moved = better[:, None]
    after = _Climbs(
        np.where(moved, there, now.x),
        np.where(better, value, now.value),
        np.where(moved, slope, now.slope),
        np.where(better[:, None, None], _updated(now.H, step, now.slope - slope), now.H),
        np.where(better, 1.0, now.shrink * SHORTER),
    )
    return after, (promise < ENOUGH) | (better & (gain < ENOUGH))


def _directions(now: _Climbs, free: NDArray[np.bool_]) -> FloatArray:
    """H slope over the coordinates that can move, at most LONGEST long; the slope itself where H leads downhill."""
    stuck = ~free | ((now.x <= 0.0) & (now.slope < 0)) | ((now.x >= 1.0) & (now.slope > 0))
    slope = np.where(stuck, 0.0, now.slope)
    direction = np.where(stuck, 0.0, np.matmul(now.H, slope[:, :, None])[:, :, 0])
    uphill = (direction * slope).sum(axis=1) > 0
    direction = np.where(uphill[:, None], direction, slope)
    length = np.sqrt((direction**2).sum(axis=1))
    return np.asarray(direction * np.minimum(1.0, LONGEST / np.maximum(length, 1e-300))[:, None])


def _updated(H: FloatArray, step: FloatArray, change: FloatArray) -> FloatArray:
    """BFGS with ``step`` and the ``change`` (s, d) of the negative slope; H where the curvature is not positive."""
    curvature, size = (step * change).sum(axis=1), (change * change).sum(axis=1)
    sound = curvature > 1e-10 * np.sqrt((step**2).sum(axis=1) * size)
    curvature = np.where(sound, curvature, 1.0)
    d = H.shape[1]
    fresh = (np.eye(d) == H).all(axis=(1, 2)) & sound
    first = np.where(fresh, curvature / np.where(sound, size, 1.0), 1.0)
    H = H * first[:, None, None]
    rho = 1 / curvature
    left = np.eye(d) - rho[:, None, None] * step[:, :, None] * change[:, None, :]
    new = left @ H @ left.transpose(0, 2, 1) + rho[:, None, None] * step[:, :, None] * step[:, None, :]
    return np.where(sound[:, None, None], new, H)
