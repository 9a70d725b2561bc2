"""One draw of a Gaussian process, a point at a time, wherever it is asked for.

Each value is drawn given all before it, so that together they are a draw of the joint distribution: with L the factor
of the covariance of the points so far and w = L⁻¹ times their values, a new point of covariances k with them and
variance v has v' = L⁻¹ k, mean v'·w and variance v - v'·v' (Rasmussen & Williams 2006, algorithm 2.1, row by row).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from hpo_engine.parameters import FloatArray

FIRST_ROOM = 32
SMALLEST_SHARE = 1e-10
"""Of its prior variance, what a point keeps however well the others tell it."""


class Path:
    """Values less their prior mean; a new point costs O(n²) after n."""

    def __init__(self, chance: np.random.Generator) -> None:
        self._chance, self._n = chance, 0
        self._L, self._w = np.zeros((FIRST_ROOM, FIRST_ROOM)), np.zeros(FIRST_ROOM)

    def __len__(self) -> int:
        return self._n

    def drawn(self, cross: FloatArray, variance: float) -> float:
        """The value of one more point, of ``variance`` and with covariances ``cross`` (n,) with the points so far."""
        row, mean, sd = self._seen_from(cross, variance)
        z = float(self._chance.standard_normal())
        self._append(row, sd, z)
        return mean + sd * z

    def told(self, cross: FloatArray, variance: float, value: float) -> None:
        """One more point has this ``value``."""
        row, mean, sd = self._seen_from(cross, variance)
        self._append(row, sd, (value - mean) / sd)

    def _seen_from(self, cross: FloatArray, variance: float) -> tuple[FloatArray, float, float]:
        n = self._n
        row = solve_triangular(self._L[:n, :n], cross, lower=True, check_finite=False) if n else np.zeros(0)
        left = max(variance - float(row @ row), SMALLEST_SHARE * variance)
        return row, float(row @ self._w[:n]), left**0.5

    def _append(self, row: FloatArray, sd: float, z: float) -> None:
        n = self._n
        if n == len(self._w):
            self._L = np.pad(self._L, ((0, n), (0, n)))
            self._w = np.pad(self._w, (0, n))
        self._L[n, :n], self._L[n, n], self._w[n], self._n = row, sd, z, n + 1
