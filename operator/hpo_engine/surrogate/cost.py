"""What a configuration costs, learned from what was measured: peak memory, or seconds per unit of resource.

A Gaussian process on the logarithm with the covariance of trend.py. Its three standard deviations and the noise are
those of the largest posterior; there is nothing else to learn, so a handful of trials is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np
from scipy.linalg import LinAlgError, cho_solve
from scipy.optimize import minimize

from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate.cholesky import factor
from hpo_engine.surrogate.priors import Priors
from hpo_engine.surrogate.trend import Features, Placed, TrendKernel, parts

BIAS = 3.0
"""Standard deviation of the mean of the logarithms around that of the data: a factor of 20 either way."""
PRIOR_MEAN: FloatArray = np.log(np.array([2.0, 0.2, 0.05]))
"""Of the logarithms of slope (a factor of e² from one end of a parameter to the other), departure and noise."""
PRIOR_SD = np.array([1.0, 1.0, 1.5])
LOW, HIGH = np.log(np.array([0.1, 0.02, 1e-3])), np.log(np.array([20.0, 5.0, 2.0]))
PRIORS = Priors(PRIOR_MEAN, PRIOR_SD, LOW, HIGH)
LARGEST_FIT = 150
SMALLEST_VARIANCE = 1e-12


@dataclass(frozen=True)
class CostModel:
    """Beliefs on log cost. ``X`` (n, d) encoded points, ``y`` (n,) logarithms less their ``centre``; α = K⁻¹ y."""

    kernel: TrendKernel
    noise: float
    centre: float
    X: FloatArray
    y: FloatArray
    L: FloatArray
    alpha: FloatArray

    @cached_property
    def data(self) -> Placed:
        return self.kernel.placed(self.X)

    def predict(self, Z: FloatArray | Placed) -> tuple[FloatArray, FloatArray]:
        """Means and variances (q,) of log cost at ``Z`` (q, d), without the noise of a measurement."""
        z = self.kernel.placed(Z)
        cross = self.kernel(self.data, z)
        variance = self.kernel.variances(z) - np.einsum("ij,ij->j", cross, self.solve(cross))
        return self.centre + cross.T @ self.alpha, np.maximum(variance, SMALLEST_VARIANCE)

    def mean_slopes(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means (q,) of log cost at ``Z`` (q, d), and their derivatives (q, d)."""
        z, weights = self.kernel.placed(Z), np.repeat(self.alpha[:, None], len(Z), axis=1)
        (slopes,) = self.kernel.slopes(z, self.data, weights)
        return self.centre + self.kernel(z, self.data) @ self.alpha, slopes

    def covariance(self, A: FloatArray | Placed, B: FloatArray | Placed) -> FloatArray:
        """Of log cost between ``A`` (n, d) and ``B`` (m, d)."""
        a, b = self.kernel.placed(A), self.kernel.placed(B)
        return np.asarray(self.kernel(a, b) - self.kernel(a, self.data) @ self.solve(self.kernel(self.data, b)))

    def solve(self, B: FloatArray) -> FloatArray:
        """(k(X, X) + σ_n² I)⁻¹ B (n, q) for ``B`` (n, q)."""
        return np.asarray(cho_solve((self.L, True), B, check_finite=False))


def fit_cost(features: Features, X: FloatArray, costs: FloatArray) -> CostModel:
    """The model of positive, finite ``costs`` (n,) at encoded points ``X`` (n, d), n >= 0.

    Raises:
        LinAlgError: the covariance is not positive definite even with the prior's hyperparameters.
    """
    logs = np.log(costs)
    if len(logs) > LARGEST_FIT:  # from the cheapest to the dearest
        ranks = np.linspace(0, len(logs) - 1, LARGEST_FIT).round().astype(np.int64)
        chosen = np.sort(np.argsort(logs, kind="stable")[ranks])
        X, logs = X[chosen], logs[chosen]
    centre = float(np.mean(logs)) if len(logs) else 0.0
    y = logs - centre
    slope, departure, noise = (float(sd) for sd in np.exp(_likeliest(features, X, y)))
    kernel = TrendKernel(features, BIAS, slope, departure)
    L, _ = factor(kernel(X, X) + noise**2 * np.eye(len(X)))
    return CostModel(kernel, noise**2, centre, X, y, L, np.asarray(cho_solve((L, True), y)))


def _likeliest(features: Features, X: FloatArray, y: FloatArray) -> FloatArray:
    """Logarithms of slope, departure and noise (3,); the prior's where there is little to learn from."""
    if len(y) < 2:
        return PRIOR_MEAN
    cost, bounds = negative_log_posterior(features, X, y), list(zip(LOW, HIGH, strict=True))
    try:
        found = minimize(cost, PRIOR_MEAN, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    except LinAlgError:
        return PRIOR_MEAN
    return np.asarray(found.x) if np.isfinite(found.fun) else PRIOR_MEAN


def negative_log_posterior(
    features: Features, X: FloatArray, y: FloatArray
) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """Of the logarithms of slope, departure and noise (3,), given ``y`` (n,) of mean 0 at ``X``; with its gradient."""
    matrices = np.stack([*parts(features, X, X), np.eye(len(y))])
    constant = np.full((len(y), len(y)), BIAS**2)

    def cost(theta: FloatArray) -> tuple[float, FloatArray]:
        """Raises LinAlgError where the covariance is not positive definite."""
        variances = np.exp(2 * theta)
        L, _ = factor(constant + np.tensordot(variances, matrices, axes=1))
        inverse = cho_solve((L, True), np.eye(len(y)), check_finite=False)
        alpha = inverse @ y
        M = inverse - np.outer(alpha, alpha)
        penalty, penalty_slopes = PRIORS.penalty(theta)
        value = 0.5 * y @ alpha + np.sum(np.log(np.diag(L))) + 0.5 * len(y) * log(2 * np.pi) + penalty
        slopes: FloatArray = variances * np.tensordot(matrices, M, axes=2) + penalty_slopes
        return float(value), slopes

    return cost
