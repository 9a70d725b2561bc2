"""The covariance of what a training costs: a trend that is linear in logarithms, and smooth departures from it.

Memory and time of a training are nearly products of powers: batch · patch³ · channels and so on. Their logarithm is
then linear in the logarithms of the numbers, one slope per parameter, and a boundary such as the memory of a GPU is a
plane. With the slopes' normal prior integrated out that is a linear kernel (Rasmussen & Williams 2006, eq. 2.10),

    k(x, x') = b² + w² h(x)·h(x') + v² ρ(r²),

which goes on rising beyond the data, where a stationary kernel would fall back to the mean: what is larger than
everything that was trained is believed to cost more. ρ is a Matérn 5/2 of fixed length scales, long enough to be
learned from few trials; it takes what is no product (the memory that the weights need, for example).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from hpo_engine.parameters import CategoricalParameter, FloatArray, IntArray, Parameter
from hpo_engine.space import Space
from hpo_engine.surrogate.kernels import Embedded, Kernel, metrics

KNOTS = 65
"""Where a number's feature is tabulated, evenly over the unit interval; linear in between."""
REACH = 0.7
"""Length scale of the departures, times √d: in units of the cube's half diagonal or so."""


@dataclass(frozen=True)
class Features:
    """h: one column for each number, within [-½, ½], and one for each choice of each categorical; 0 where inactive."""

    space: Space

    def __call__(self, X: FloatArray) -> FloatArray:
        """(n, p) of encoded points (n, d)."""
        h = np.zeros((len(X), int(self._starts[-1])))
        numbers = self._numbers
        if len(numbers):
            U = X[:, numbers]
            off = np.isnan(U)
            k, share = _knots(np.where(off, 0.5, U))
            columns = np.arange(len(numbers))
            low, high = self._tables[columns, k], self._tables[columns, k + 1]
            h[:, self._starts[numbers]] = np.where(off, 0.0, low + share * (high - low))
        for j in self._categoricals:
            on = np.flatnonzero(~np.isnan(X[:, j]))
            h[on, self._starts[j] + self.space.parameters[j].cell(X[on, j])] = 1.0
        return h

    def slopes(self, X: FloatArray, weights: FloatArray) -> FloatArray:
        """Σ_p ``weights``[n, p] ∂h_p/∂x, as (n, d); 0 for what is categorical or inactive."""
        slopes, numbers = np.zeros(X.shape), self._numbers
        if len(numbers):
            U = X[:, numbers]
            off = np.isnan(U)
            k, _ = _knots(np.where(off, 0.5, U))
            columns = np.arange(len(numbers))
            steep = (self._tables[columns, k + 1] - self._tables[columns, k]) * (KNOTS - 1)
            slopes[:, numbers] = np.where(off, 0.0, steep * weights[:, self._starts[numbers]])
        return slopes

    @cached_property
    def _tables(self) -> FloatArray:
        """(numbers, KNOTS)"""
        return np.array([_table(self.space.parameters[j]) for j in self._numbers]).reshape(-1, KNOTS)

    @cached_property
    def _numbers(self) -> IntArray:
        kinds = [isinstance(p, CategoricalParameter) for p in self.space.parameters]
        return np.flatnonzero(~np.array(kinds, dtype=bool))

    @cached_property
    def _categoricals(self) -> IntArray:
        return np.setdiff1d(np.arange(self.space.dimension), self._numbers)

    @cached_property
    def _starts(self) -> IntArray:
        """First column of each parameter, and the number of columns."""
        widths = [p.cells if isinstance(p, CategoricalParameter) else 1 for p in self.space.parameters]
        return np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)


def _knots(U: FloatArray) -> tuple[IntArray, FloatArray]:
    """The knot below each coordinate within [0, 1], and how far it is on the way to the next."""
    at = np.clip(U, 0.0, 1.0) * (KNOTS - 1)
    below = np.minimum(at.astype(np.int64), KNOTS - 2)
    return below, at - below


def _table(p: Parameter) -> FloatArray:
    """The feature at KNOTS places of the unit interval: the logarithm of positive numbers, else the number."""
    knots = np.linspace(0.0, 1.0, KNOTS)
    if p.cells is None:
        places, values = knots, np.asarray([p.numbers(u) for u in knots], dtype=np.float64)
    else:
        cells = np.unique(np.linspace(0, p.cells - 1, min(p.cells, KNOTS)).round().astype(np.int64))
        places, values = p.place(cells), np.array([float(p.value(int(cell))) for cell in cells])
    heights = np.log(values) if values[0] > 0 else values
    span = heights[-1] - heights[0]
    return np.interp(knots, places, (heights - heights[0]) / span - 0.5) if span > 0 else np.zeros(KNOTS)


@dataclass(frozen=True)
class Placed:
    """Encoded ``points`` (n, d) with what the kernel needs of them, worked out once."""

    points: FloatArray
    h: FloatArray
    embedded: Embedded

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class TrendKernel:
    """k over encoded points of a space; ``bias`` b, ``slope`` w and ``departure`` v are standard deviations."""

    features: Features
    bias: float
    slope: float
    departure: float

    def placed(self, A: FloatArray | Placed) -> Placed:
        return A if isinstance(A, Placed) else Placed(A, self.features(A), self._smooth.embedded(A))

    def __call__(self, A: FloatArray | Placed, B: FloatArray | Placed) -> FloatArray:
        """Covariances (n, m) between the rows of ``A`` (n, d) and ``B`` (m, d)."""
        a, b = self.placed(A), self.placed(B)
        smooth = self._smooth(a.embedded, b.embedded)
        return np.asarray(self.bias**2 + self.slope**2 * (a.h @ b.h.T) + self.departure**2 * smooth)

    def variances(self, A: FloatArray | Placed) -> FloatArray:
        """k(a, a) (n,)."""
        h = self.placed(A).h
        return np.asarray(self.bias**2 + self.slope**2 * np.einsum("ij,ij->i", h, h) + self.departure**2)

    def slopes(self, Z: FloatArray | Placed, X: FloatArray | Placed, *weights: FloatArray) -> list[FloatArray]:
        """Σ_i w[i, q] ∂k(x_i, z_q)/∂z_q, as (q, d), for each w (n, q) of ``weights``; ``Z`` (q, d), ``X`` (n, d)."""
        z, x = self.placed(Z), self.placed(X)
        _, radial = self._smooth.with_radial_slope(x.embedded, z.embedded)
        return [
            self.slope**2 * self.features.slopes(z.points, w.T @ x.h)
            + self.departure**2 * self._smooth.pulled(z.embedded, x.embedded, radial * w)
            for w in weights
        ]

    def variance_slopes(self, Z: FloatArray | Placed) -> FloatArray:
        """∂k(z, z)/∂z (q, d)."""
        z = self.placed(Z)
        return 2 * self.slope**2 * self.features.slopes(z.points, z.h)

    @cached_property
    def _smooth(self) -> Kernel:
        return stationary(self.features.space)


def parts(features: Features, A: FloatArray, B: FloatArray) -> tuple[FloatArray, FloatArray]:
    """h(A)·h(B) and ρ, both (n, m): what the standard deviations weigh."""
    return features(A) @ features(B).T, stationary(features.space)(A, B)


def stationary(space: Space) -> Kernel:
    """ρ, a covariance of variance 1."""
    return Kernel("Matern52", metrics(space), np.full(space.dimension, REACH * sqrt(space.dimension)), 1.0)
