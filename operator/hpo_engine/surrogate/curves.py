"""Learning curves under a Gaussian process: what short runs tell of long ones.

The output of trial i, with encoded parameters x, after t of at most R units of resource is believed to be

    y_i(t) = m + c b(t) + s(t) [ g(x) + b(t) h(x) + u_i(τ) ] + ε,    τ = log t / log R,  s(t) = exp(γ b(t)),

    b(t) = (t^-a - R^-a) / (1 - R^-a),  so that b(1) = 1 and b(R) = 0.

g (variance σ_g²) is what training to the end gives, h (σ_h²) how far away a short run is; both are smooth functions
of the parameters with the same kernel. u_i (σ_u²) is the trial's own deviation, which goes on along its curve with
covariance exp(-|τ - τ'| / λ). γ widens or narrows the spread of short runs. Nothing of it reverts to the mean as the
resource grows: what a short run says of g stays said. With b a power law this is the curve that the freeze-thaw kernel
of Swersky et al. 2014 has for its asymptotes (eqs. 6 and 13 there), made a function of the parameters; the repair that
Bertrand's thesis asks for in section 2.5.4.

At one resource t the beliefs on a trial that was not begun are those of an ordinary process with the kernel
s(t)² (σ_g² + σ_h² b(t)²) ρ(x, x'), to whose data each observation contributes with a weight.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import log

import numpy as np

from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.study import Kernel as KernelName
from hpo_engine.surrogate.block_factor import BlockFactor, RowBlock
from hpo_engine.surrogate.kernels import Kernel, Metric
from hpo_engine.surrogate.posterior import SMALLEST_VARIANCE, Posterior

UNBEGUN = -1
"""The number of a trial that has no data."""
JITTER = 1e-9


@dataclass(frozen=True)
class CurveData:
    """Encodings ``X`` (n, d), ``resource`` of 1 to ``maximum``, ``trial`` and output ``y`` (n,) of observations."""

    X: FloatArray
    resource: FloatArray
    trial: IntArray
    y: FloatArray
    maximum: int

    def __getitem__(self, part: slice | IntArray) -> CurveData:
        return CurveData(self.X[part], self.resource[part], self.trial[part], self.y[part], self.maximum)

    def with_points(self, X: FloatArray, resource: FloatArray, trial: IntArray, y: FloatArray) -> CurveData:
        return CurveData(
            np.vstack([self.X, X]),
            np.concatenate([self.resource, resource]),
            np.concatenate([self.trial, trial]),
            np.concatenate([self.y, y]),
            self.maximum,
        )


@dataclass(frozen=True)
class CurveParameters:
    """θ of the module's formulas; ``correlation``: ρ with its length scales, of variance 1."""

    correlation: Kernel
    final: float
    gap: float
    own: float
    persistence: float
    noise: float
    mean: float
    rise: float
    widening: float
    exponent: float

    @classmethod
    def of(cls, name: KernelName, metrics: tuple[Metric, ...], theta: FloatArray) -> CurveParameters:
        """From θ = (log ℓ_1..d, log σ_g², log σ_h², log σ_u², log λ, log σ_n², m, c, γ, log a)."""
        d = len(metrics)
        final, gap, own, persistence, noise = (float(v) for v in np.exp(theta[d : d + 5]))
        mean, rise, widening = (float(v) for v in theta[d + 5 : d + 8])
        correlation = Kernel(name, metrics, np.exp(theta[:d]), 1.0)
        exponent = float(np.exp(theta[d + 8]))
        return cls(correlation, final, gap, own, persistence, noise, mean, rise, widening, exponent)

    def remaining(self, resource: FloatArray, maximum: int) -> FloatArray:
        """b at ``resource``."""
        return remaining(resource, maximum, self.exponent)

    def covariance(self, a: CurveData, b: CurveData) -> FloatArray:
        """Covariances (n, m) of the noiseless outputs at two sets of points."""
        b_a, b_b = (self.remaining(data.resource, data.maximum) for data in (a, b))
        smooth = (self.final + self.gap * np.outer(b_a, b_b)) * self.correlation(a.X, b.X)
        same = (a.trial[:, None] == b.trial[None, :]) & (a.trial[:, None] != UNBEGUN)
        lag = np.abs(np.log(a.resource)[:, None] - np.log(b.resource)[None, :]) / log(max(a.maximum, 2))
        own = np.where(same, self.own * np.exp(-lag / self.persistence), 0.0)
        return np.asarray(np.outer(np.exp(self.widening * b_a), np.exp(self.widening * b_b)) * (smooth + own))

    def variance(self, resource: FloatArray, maximum: int) -> FloatArray:
        """Prior variances (n,) of the noiseless outputs at ``resource``."""
        b = self.remaining(resource, maximum)
        return np.asarray(np.exp(2 * self.widening * b) * (self.final + self.gap * b**2 + self.own))

    def level(self, resource: FloatArray, maximum: int) -> FloatArray:
        """Prior means (n,) at ``resource``."""
        return self.mean + self.rise * self.remaining(resource, maximum)


@dataclass(frozen=True)
class CurvePosterior:
    """Beliefs on all curves after ``data``. Immutable: more data makes another one."""

    parameters: CurveParameters
    data: CurveData
    factor: BlockFactor
    alpha: FloatArray

    @classmethod
    def of(cls, parameters: CurveParameters, data: CurveData) -> CurvePosterior:
        """Raises LinAlgError where the covariance is not positive definite."""
        factor = BlockFactor().grown(len(data.y), _rows(parameters, data))
        residual = data.y - parameters.level(data.resource, data.maximum)
        alpha = factor.backward(factor.forward(residual[:, None]))[:, 0]
        return cls(parameters, data, factor, alpha)

    def predict(self, X: FloatArray, resource: FloatArray, trial: IntArray) -> tuple[FloatArray, FloatArray]:
        """Means and standard deviations (q,) of the noiseless outputs of trials ``trial`` (q,) at ``resource`` (q,)."""
        points = CurveData(X, np.asarray(resource, dtype=np.float64), trial, np.zeros(len(X)), self.data.maximum)
        cross = self.parameters.covariance(self.data, points)
        V = self.factor.forward(cross)
        variance = self.parameters.variance(points.resource, points.maximum) - np.einsum("ij,ij->j", V, V)
        mean = self.parameters.level(points.resource, points.maximum) + cross.T @ self.alpha
        return mean, np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))

    def believing(self, X: FloatArray, resource: FloatArray, trial: IntArray) -> CurvePosterior:
        """After outputs exactly as predicted at these points (kriging believer): only the deviations change."""
        if len(X) == 0:
            return self
        points = CurveData(X, resource, trial, np.zeros(len(X)), self.data.maximum)
        data = self.data.with_points(X, resource, trial, self._means(points))
        factor = self.factor.grown(len(data.y), _rows(self.parameters, data))
        return CurvePosterior(self.parameters, data, factor, np.concatenate([self.alpha, np.zeros(len(X))]))

    def _means(self, points: CurveData) -> FloatArray:
        level = self.parameters.level(points.resource, points.maximum)
        return np.asarray(level + self.parameters.covariance(points, self.data) @ self.alpha)

    def slice(self, resource: int) -> CurveSlice:
        """The beliefs on trials that were not begun, after ``resource`` units."""
        p, maximum = self.parameters, self.data.maximum
        t = np.array([float(resource)])
        b, b_data = float(p.remaining(t, maximum)[0]), p.remaining(self.data.resource, maximum)
        scale = float(np.exp(p.widening * b))
        smooth = p.final + p.gap * b**2
        weights = np.exp(p.widening * b_data) * (p.final + p.gap * b_data * b) / (scale * smooth)
        return CurveSlice(
            kernel=Kernel(p.correlation.name, p.correlation.metrics, p.correlation.lengthscales, scale**2 * smooth),
            mean=float(p.level(t, maximum)[0]),
            noise=p.noise,
            X=self.data.X,
            y=self.data.y,
            factor=self.factor,
            alpha=self.alpha,
            weights=weights,
            own=scale**2 * p.own,
        )


def _rows(parameters: CurveParameters, data: CurveData) -> RowBlock:
    """The covariance of the observations, noise and all, a block of rows at a time."""

    def rows(start: int, stop: int) -> FloatArray:
        K = parameters.covariance(data[start:stop], data[:stop])
        K[np.arange(stop - start), np.arange(start, stop)] += parameters.noise + JITTER
        return K

    return rows


@dataclass(frozen=True)
class CurveSlice(Posterior):
    """Beliefs at one resource: observation i has the covariance ``weights``[i] k(x_i, z) with a new trial at z.

    ``own``: the variance of what is the trial's own, which no other trial can tell.
    """

    weights: FloatArray = field(kw_only=True)
    own: float = field(kw_only=True)

    @cached_property
    def _column(self) -> FloatArray:
        return self.weights[:, None]

    def predict(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        cross = self.kernel(self._embedded, Z) * self._column
        V = self.factor.forward(cross)
        variance = self.kernel.signal + self.own - np.einsum("ij,ij->j", V, V)
        return self.mean + cross.T @ self.alpha, np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))

    def means(self, Z: FloatArray) -> FloatArray:
        return np.asarray(self.mean + self.kernel(Z, self._embedded) @ (self.weights * self.alpha))

    def joint(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        cross = self.kernel(self._embedded, Z) * self._column
        V = self.factor.forward(cross)
        return self.mean + cross.T @ self.alpha, self.kernel(Z, Z) + self.own * np.eye(len(Z)) - V.T @ V

    def slopes(self, Z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        z, x = self.kernel.embedded(Z), self._embedded
        cross, radial = (part * self._column for part in self.kernel.with_radial_slope(x, z))
        solved = self.factor.backward(self.factor.forward(cross))
        variance = self.kernel.signal + self.own - np.einsum("ij,ij->j", cross, solved)
        sd = np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))
        mean_slopes = self.kernel.pulled(z, x, radial * self.alpha[:, None])
        sd_slopes = -self.kernel.pulled(z, x, radial * solved) / sd[:, None]
        return self.mean + cross.T @ self.alpha, sd, mean_slopes, sd_slopes


def remaining(resource: FloatArray, maximum: int, exponent: float) -> FloatArray:
    """b at ``resource``: what is left of the way to the end, 1 after one unit and 0 at ``maximum``."""
    if maximum <= 1:
        return np.zeros_like(resource)
    end = float(maximum) ** -exponent
    return np.asarray((resource**-exponent - end) / (1 - end))
