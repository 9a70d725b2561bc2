"""Hyperparameters of the surrogate: the maximum of marginal likelihood times prior, from several starts.

θ = (log ℓ_1..d, log σ_f², log σ_n², m). Gradients are analytic (Rasmussen & Williams 2006, eq. 5.9); L-BFGS-B searches
from the prior's mode and from a few deterministic draws. When no start ends well the prior's mode itself is used, and
the notes say so: a study goes on, with a plainer model.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import numpy as np
from scipy.linalg import LinAlgError, cho_solve
from scipy.optimize import minimize

from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.study import Kernel as KernelName
from hpo_engine.surrogate.cholesky import factor
from hpo_engine.surrogate.kernels import Kernel, Metric, radial, squared_distance
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.surrogate.priors import Priors, default_priors

RESTARTS, FEW = 2, 100
"""Starts besides the prior's mode; with more than FEW points a single one, as the likelihood has one hill left."""
LARGEST_FIT = 200
"""Hyperparameters are learnt from at most this many points; predictions always use all."""
MAX_ITERATIONS = 60
TOLERANCE = 1e-6
"""Relative, of the likelihood: where it changes by less, predictions do not change either."""


@dataclass(frozen=True)
class Fit:
    """A surrogate with its hyperparameters; ``notes`` tell where it had to make do with less."""

    posterior: Posterior
    notes: tuple[str, ...] = ()


class NegativeLogPosterior:
    """-log p(y | X, θ) - log p(θ) up to a constant, with its gradient. X (n, d), y (n,)."""

    def __init__(self, name: KernelName, metrics: tuple[Metric, ...], X: FloatArray, y: FloatArray, priors: Priors):
        self._name, self._y, self._priors = name, y, priors
        self._s = np.stack([squared_distance(metric, X[:, j], X[:, j]) for j, metric in enumerate(metrics)])

    @property
    def points(self) -> int:
        return len(self._y)

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Raises LinAlgError where the covariance is not positive definite."""
        d, n = len(self._s), len(self._y)
        inverse_squares = np.exp(-2 * theta[:d])
        signal, noise, mean = np.exp(theta[d]), np.exp(theta[d + 1]), theta[d + 2]
        value, slope = radial(self._name, np.tensordot(inverse_squares, self._s, axes=1))
        K = signal * value
        L, _ = factor(K + noise * np.eye(n))
        inverse = cho_solve((L, True), np.eye(n), check_finite=False)
        residual = self._y - mean
        alpha = inverse @ residual
        M = inverse - np.outer(alpha, alpha)  # ∂/∂θ = ½ tr(M ∂K/∂θ)
        penalty, gradient = self._priors.penalty(theta)
        by_lengthscale = -signal * inverse_squares * np.tensordot(self._s, M * slope, axes=2)
        by_signal, by_noise = 0.5 * np.sum(M * K), 0.5 * noise * np.trace(M)
        gradient = gradient + np.concatenate([by_lengthscale, [by_signal, by_noise, -np.sum(alpha)]])
        likelihood = 0.5 * residual @ alpha + np.sum(np.log(np.diag(L))) + 0.5 * n * log(2 * pi)
        return float(likelihood + penalty), gradient


def fit_surrogate(
    name: KernelName, metrics: tuple[Metric, ...], X: FloatArray, y: FloatArray, generator: np.random.Generator
) -> Fit:
    """The surrogate of encoded points X (n, d) and standardised outputs y (n,), n >= 1.

    Raises:
        LinAlgError: not even the prior's hyperparameters make a positive definite covariance.
    """
    priors = default_priors(len(metrics))
    chosen = representative(y, LARGEST_FIT)
    notes = []
    if len(chosen) < len(y):
        notes.append(f"hyperparameters were learnt from {len(chosen)} of {len(y)} trials")
    theta = _search(NegativeLogPosterior(name, metrics, X[chosen], y[chosen], priors), priors, generator)
    if theta is None:
        notes.append("the marginal likelihood could not be maximised; the prior's hyperparameters are used")
        theta = priors.mean
    posterior, jitter = _posterior(name, metrics, X, y, theta)
    if jitter > 0:
        notes.append(f"the covariance needed a jitter of {jitter:.0e}")
    return Fit(posterior, tuple(notes))


def representative(y: FloatArray, limit: int) -> IntArray:
    """Ascending positions of at most ``limit`` points: the best, and as many spread evenly over the other ranks."""
    order = np.argsort(y, kind="stable")
    if len(order) <= limit:
        return np.arange(len(y))
    best, rest = order[: limit // 2], order[limit // 2 :]
    spread = np.linspace(0, len(rest) - 1, limit - len(best)).round().astype(np.int64)
    return np.sort(np.concatenate([best, rest[spread]]))


def _search(objective: NegativeLogPosterior, priors: Priors, generator: np.random.Generator) -> FloatArray | None:
    """The best θ of all starts; None when none ended at a finite value."""
    restarts = RESTARTS if objective.points <= FEW else 1
    draws = priors.mean + priors.sd * generator.standard_normal((restarts, len(priors.mean)))
    bounds = list(zip(priors.low, priors.high, strict=True))
    best_value, best_theta = np.inf, None
    for start in (priors.mean, *np.clip(draws, priors.low, priors.high)):
        try:
            result = minimize(
                objective,
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": MAX_ITERATIONS, "ftol": TOLERANCE},
            )
        except LinAlgError:
            continue
        if np.isfinite(result.fun) and result.fun < best_value - 1e-6:
            best_value, best_theta = float(result.fun), np.asarray(result.x)
    return best_theta


def _posterior(
    name: KernelName, metrics: tuple[Metric, ...], X: FloatArray, y: FloatArray, theta: FloatArray
) -> tuple[Posterior, float]:
    d = len(metrics)
    kernel = Kernel(name, metrics, np.exp(theta[:d]), float(np.exp(theta[d])))
    return Posterior.of(kernel, float(theta[d + 2]), float(np.exp(theta[d + 1])), X, y)
