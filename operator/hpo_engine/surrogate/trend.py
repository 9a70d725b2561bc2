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
from hpo_engine.surrogate.kernels import Kernel, metrics

KNOTS = 65
"""Where a number's feature is tabulated; linear in between."""
REACH = 0.7
"""Length scale of the departures, times √d: in units of the cube's half diagonal or so."""


@dataclass(frozen=True)
class Features:
    """h: one column for each number, within [-½, ½], and one for each choice of each categorical; 0 where inactive."""

    space: Space

    def __call__(self, X: FloatArray) -> FloatArray:
        """(n, p) of encoded points (n, d)."""
        return np.hstack([self._column(j, X[:, j]) for j in range(self.space.dimension)])

    def slopes(self, X: FloatArray, weights: FloatArray) -> FloatArray:
        """Σ_p ``weights``[n, p] ∂h_p/∂x, as (n, d); 0 for what is categorical or inactive."""
        slopes = np.zeros(X.shape)
        for j, table in enumerate(self._tables):
            if table is not None:
                places, heights = table
                on = (places[0] <= X[:, j]) & (X[:, j] <= places[-1])  # not where it is NaN
                k = np.clip(np.searchsorted(places, np.where(on, X[:, j], 0.5), side="right"), 1, len(places) - 1)
                steep = (heights[k] - heights[k - 1]) / (places[k] - places[k - 1])
                slopes[:, j] = np.where(on, steep * weights[:, self._starts[j]], 0.0)
        return slopes

    def _column(self, j: int, u: FloatArray) -> FloatArray:
        off, table, p = np.isnan(u), self._tables[j], self.space.parameters[j]
        known = np.where(off, 0.5, u)
        if table is None:
            chosen = np.equal(p.cell(known)[:, None], np.arange(p.cells or 0))
            return np.where(off[:, None], 0.0, chosen.astype(np.float64))
        return np.where(off, 0.0, np.interp(known, *table))[:, None]

    @cached_property
    def _tables(self) -> tuple[tuple[FloatArray, FloatArray] | None, ...]:
        return tuple(_table(p) for p in self.space.parameters)

    @cached_property
    def _starts(self) -> IntArray:
        """First column of each parameter, and the number of columns."""
        widths = [p.cells if isinstance(p, CategoricalParameter) else 1 for p in self.space.parameters]
        return np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)


def _table(p: Parameter) -> tuple[FloatArray, FloatArray] | None:
    """Places in the unit interval and the feature there: the logarithm of positive numbers, else the number."""
    if isinstance(p, CategoricalParameter):
        return None
    if p.cells is None:
        places = np.linspace(0.0, 1.0, KNOTS)
        values = np.asarray([p.numbers(u) for u in places], dtype=np.float64)
    else:
        cells = np.unique(np.linspace(0, p.cells - 1, min(p.cells, KNOTS)).round().astype(np.int64))
        places, values = p.place(cells), np.array([float(p.value(int(cell))) for cell in cells])
    if len(values) == 1:
        places, values = np.array([0.0, 1.0]), np.repeat(values, 2)
    heights = np.log(values) if values[0] > 0 else values
    span = heights[-1] - heights[0]
    return places, (heights - heights[0]) / span - 0.5 if span > 0 else np.zeros(len(values))


@dataclass(frozen=True)
class TrendKernel:
    """k over encoded points of a space; ``bias`` b, ``slope`` w and ``departure`` v are standard deviations."""

    features: Features
    bias: float
    slope: float
    departure: float

    def __call__(self, A: FloatArray, B: FloatArray) -> FloatArray:
        """Covariances (n, m) between the rows of ``A`` (n, d) and ``B`` (m, d)."""
        linear, smooth = parts(self.features, A, B)
        return self.bias**2 + self.slope**2 * linear + self.departure**2 * smooth

    def variances(self, A: FloatArray) -> FloatArray:
        """k(a, a) (n,)."""
        return np.asarray(self.bias**2 + self.slope**2 * np.sum(self.features(A) ** 2, axis=1) + self.departure**2)

    def slopes(self, Z: FloatArray, X: FloatArray, weights: FloatArray) -> FloatArray:
        """Σ_i ``weights``[i, q] ∂k(x_i, z_q)/∂z_q, as (q, d); ``Z`` (q, d), ``X`` (n, d), ``weights`` (n, q)."""
        smooth = stationary(self.features.space)
        _, radial = smooth.with_radial_slope(X, Z)
        linear = self.features.slopes(Z, weights.T @ self.features(X))
        return self.slope**2 * linear + self.departure**2 * smooth.pulled(Z, X, radial * weights)

    def variance_slopes(self, Z: FloatArray) -> FloatArray:
        """∂k(z, z)/∂z (q, d)."""
        return 2 * self.slope**2 * self.features.slopes(Z, self.features(Z))


def parts(features: Features, A: FloatArray, B: FloatArray) -> tuple[FloatArray, FloatArray]:
    """h(A)·h(B) and ρ, both (n, m): what the standard deviations weigh."""
    return features(A) @ features(B).T, stationary(features.space)(A, B)


def stationary(space: Space) -> Kernel:
    """ρ, a covariance of variance 1."""
    return Kernel("Matern52", metrics(space), np.full(space.dimension, REACH * sqrt(space.dimension)), 1.0)
