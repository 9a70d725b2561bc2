"""Covariances over mixed and conditional spaces.

All kinds of parameters meet in one squared distance with a length scale each (ARD),

    r²(x, x') = Σ_j s_j(x_j, x'_j) / ℓ_j²,        k(x, x') = σ_f² ρ(r²),

so that ρ, a Matérn of 1/2, 3/2 or 5/2 or the squared exponential, stays positive definite as long as every s_j embeds
in a Euclidean space:

linear   s = (u - u')², an unconditional number.
hamming  s = [u ≠ u'], a categorical: a simplex. "Inactive" is one more corner of it.
arc      a conditional number: active values lie on an arc of 60° and radius 1, "inactive" is the centre of the circle.
         Two active values are 2 sin(π |u - u'| / 6) apart (|u - u'| within 5 %, and 1 at the ends of the range), an
         active and an inactive one are 1 apart whatever the value, two inactive ones coincide. Swersky et al. 2014,
         "Raiders of the Lost Architecture", eq. 4, with ρ = 1/3 and ω = 1.

Numbers, conditional or not, therefore have places in a Euclidean space (one coordinate, or a point of the circle), and
all distances between two sets of them are one matrix product; so are all slopes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from hpo_engine.parameters import CategoricalParameter, FloatArray, IntArray
from hpo_engine.space import Space
from hpo_engine.study import Kernel as KernelName
from hpo_engine.surrogate.input_warp import InputWarp

SQRT3, SQRT5 = 3**0.5, 5**0.5
CUSP = 1e-6
"""Matérn 1/2 has no slope at its data: within this distance of one it is taken as that far away."""
SMALLEST_R2 = 1e-16


class Metric(Enum):
    """How two values of one parameter compare."""

    LINEAR = "linear"
    HAMMING = "hamming"
    ARC = "arc"


def metrics(space: Space) -> tuple[Metric, ...]:
    """One for each parameter, in the order of the encoding."""
    return tuple(
        Metric.HAMMING if isinstance(p, CategoricalParameter) else Metric.LINEAR if p.condition is None else Metric.ARC
        for p in space.parameters
    )


def squared_distance(metric: Metric, a: FloatArray, b: FloatArray) -> FloatArray:
    """s (n, m) between coordinates ``a`` (n,) and ``b`` (m,) of one parameter, NaN where inactive."""
    difference = a[:, None] - b[None, :]
    if metric is Metric.LINEAR:
        return np.asarray(difference**2)
    off_a, off_b = np.isnan(a)[:, None], np.isnan(b)[None, :]
    both_off, one_off = off_a & off_b, off_a ^ off_b
    s = (difference != 0).astype(np.float64) if metric is Metric.HAMMING else 4 * np.sin(np.pi * difference / 6) ** 2
    return np.where(both_off, 0.0, np.where(one_off, 1.0, s))


def radial(name: KernelName, r2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """ρ(r²) and dρ/d(r²), same shape. Rasmussen & Williams 2006, eqs. 4.9, 4.14 (ν = 1/2) and 4.17."""
    match name:
        case "SquaredExponential":
            value = np.exp(-0.5 * r2)
            return value, -0.5 * value
        case "Matern12":
            r = np.sqrt(r2)
            value = np.exp(-r)
            return value, -0.5 * value / np.maximum(r, CUSP)
        case "Matern32":
            t = SQRT3 * np.sqrt(r2)
            decay = np.exp(-t)
            return (1 + t) * decay, -1.5 * decay
        case "Matern52":
            t = SQRT5 * np.sqrt(r2)
            decay = np.exp(-t)
            linear = (1 + t) * decay
            return linear + 5 / 3 * r2 * decay, -5 / 6 * linear


def correlation(name: KernelName, r2: FloatArray) -> FloatArray:
    """ρ(r²) alone. ``r2`` is overwritten."""
    if name != "Matern52":
        return radial(name, r2)[0]
    t = np.sqrt(5 * r2)
    r2 *= 5 / 3
    r2 += t
    r2 += 1
    r2 *= np.exp(np.negative(t, out=t), out=t)
    return r2


@dataclass(frozen=True)
class Embedded:
    """``points`` (n, d) with their ``places`` (n, c) in Euclidean space, in units of the length scales.

    Numbers come first, then the cosines, then the sines of the conditional ones; inactive ones are in the origin.
    ``norms`` (n,): squared distances to the origin.
    """

    points: FloatArray
    places: FloatArray
    norms: FloatArray

    def __getitem__(self, part: slice) -> Embedded:
        return Embedded(self.points[part], self.places[part], self.norms[part])


Points = FloatArray | Embedded


@dataclass(frozen=True)
class Kernel:
    """k over encoded points, NaN where inactive. ``lengthscales`` (d,); ``signal``: the variance σ_f².

    ``warp``: of the columns that are numbers and always active, in their order; None leaves them as they are.
    """

    name: KernelName
    metrics: tuple[Metric, ...]
    lengthscales: FloatArray
    signal: float
    warp: InputWarp | None = None

    def __call__(self, A: Points, B: Points) -> FloatArray:
        """Covariances (n, m) between the rows of ``A`` (n, d) and ``B`` (m, d); exactly symmetric where A is B."""
        covariances = correlation(self.name, self.r2(A, B))
        covariances *= self.signal
        return covariances

    def with_radial_slope(self, A: Points, B: Points) -> tuple[FloatArray, FloatArray]:
        """k and ∂k/∂(r²), both (n, m)."""
        value, slope = radial(self.name, self.r2(A, B))
        return self.signal * value, self.signal * slope

    def pulled(self, Z: Points, X: Points, weights: FloatArray) -> FloatArray:
        """Σ_i ``weights``[i, q] ∂r²(x_i, z_q)/∂z_q, as (q, d); 0 for what is categorical or inactive.

        ``Z`` (q, d), ``X`` (n, d), ``weights`` (n, q). With ``weights`` ∂k/∂(r²) times c_i these are the slopes of
        Σ_i c_i k(x_i, z_q).
        """
        z, x = self.embedded(Z), self.embedded(X)
        pulled = 2 * (z.places * weights.sum(axis=0)[:, None] - weights.T @ x.places)
        linear, arc = self._linear, self._arc
        n, m = len(linear), len(linear) + len(arc)
        numbers = pulled[:, :n] / self.lengthscales[linear]
        if self.warp is not None:
            numbers *= self.warp.slopes(z.points[:, linear])
        if n == len(self.metrics):
            return np.asarray(numbers)
        slopes = np.zeros(z.points.shape)
        slopes[:, linear] = numbers
        # around the circle: (cos, sin)' = (-sin, cos)
        slopes[:, arc] = np.pi / 3 * (z.places[:, n:m] * pulled[:, m:] - z.places[:, m:] * pulled[:, n:m])
        return slopes

    def r2(self, A: Points, B: Points) -> FloatArray:
        """Squared distances (n, m) in units of the length scales."""
        a = self.embedded(A)
        b = a if A is B else self.embedded(B)
        r2 = a.places @ b.places.T
        r2 *= -2
        if A is B:  # symmetric to the last bit, at the price of one more array
            r2 += a.norms[:, None] + a.norms
        else:
            r2 += a.norms[:, None]
            r2 += b.norms
        np.maximum(r2, 0.0, out=r2)
        for j in self._hamming:
            r2 += squared_distance(Metric.HAMMING, a.points[:, j], b.points[:, j]) / self.lengthscales[j] ** 2
        return r2

    def embedded(self, A: Points) -> Embedded:
        """The points with their places, worked out only once for points that are compared many times."""
        if isinstance(A, Embedded):
            return A
        linear, arc = self._linear, self._arc
        U = A if len(linear) == len(self.metrics) else A[:, linear]
        places = ((U if self.warp is None else self.warp(U)) - 0.5) / self.lengthscales[linear]
        if len(linear) < len(self.metrics):
            angle, on = np.pi / 3 * A[:, arc], 1 / self.lengthscales[arc]
            circle = (np.nan_to_num(np.cos(angle)) * on, np.nan_to_num(np.sin(angle)) * on)
            places = np.concatenate([places, *circle], axis=1)
        return Embedded(A, places, np.einsum("ij,ij->i", places, places))

    @cached_property
    def _linear(self) -> IntArray:
        return self._columns(Metric.LINEAR)

    @cached_property
    def _arc(self) -> IntArray:
        return self._columns(Metric.ARC)

    @cached_property
    def _hamming(self) -> IntArray:
        return self._columns(Metric.HAMMING)

    def _columns(self, metric: Metric) -> IntArray:
        return np.array([j for j, m in enumerate(self.metrics) if m is metric], dtype=np.int64)
