"""Hyperparameters of the surrogate: the maximum of marginal likelihood times prior, from several starts.

θ = (log ℓ_1..d, log σ_f², log σ_n², m), and with warped inputs log a_1..c, log b_1..c of the columns that are numbers
and always active. Gradients are analytic (Rasmussen & Williams 2006, eq. 5.9); L-BFGS-B searches
from the prior's mode and from a few deterministic draws, coarse to fine: with many points the hill is found on a few of
them, and only its top on more. When no start ends well the prior's mode itself is used, and the notes say so: a study
goes on, with a plainer model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, pi

import numpy as np
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs
from scipy.optimize import minimize

from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.study import Kernel as KernelName
from hpo_engine.surrogate.cholesky import JITTERS
from hpo_engine.surrogate.input_warp import InputWarp
from hpo_engine.surrogate.kernels import Kernel, Metric, radial, squared_distance
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.surrogate.priors import Priors, default_priors

RESTARTS, FEW = 2, 64
"""Starts besides the prior's mode; with more than FEW points they climb the likelihood of that many only."""
LARGEST_FIT = 300
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
    """-log p(y | X, θ) - log p(θ) up to a constant, with its gradient. X (n, d), y (n,).

    Everything symmetric is kept once: as the n (n - 1) / 2 pairs of different points, and the diagonal. Inputs are
    warped where the priors have parameters for it.
    """

    def __init__(self, name: KernelName, metrics: tuple[Metric, ...], X: FloatArray, y: FloatArray, priors: Priors):
        self._name, self._y, self._priors = name, y, priors
        is_warped = len(priors.mean) > len(metrics) + 3
        self._warped = linear_columns(metrics) if is_warped else np.empty(0, dtype=np.int64)
        self._U = X[:, self._warped]
        columns, rows = np.triu_indices(len(y), 1)
        self._pairs = (rows, columns)
        self._s = np.stack(
            [squared_distance(metric, X[:, j], X[:, j])[rows, columns] for j, metric in enumerate(metrics)]
        )

    @property
    def points(self) -> int:
        return len(self._y)

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Raises LinAlgError where the covariance is not positive definite."""
        d, n = len(self._s), len(self._y)
        inverse_squares = np.exp(-2 * theta[:d])
        signal, noise, mean = float(np.exp(theta[d])), float(np.exp(theta[d + 1])), float(theta[d + 2])
        warp = warp_of(theta[d + 3 :])
        if warp is not None:
            self._s[self._warped] = self._differences(warp(self._U)) ** 2
        value, slope = radial(self._name, inverse_squares @ self._s)
        L = self._factor(signal * value, signal + noise)
        residual = self._y - mean
        alpha = dpotrs(L, residual, lower=1)[0]
        inverse = dpotri(L, lower=1)[0]
        rows, columns = self._pairs
        M = inverse[rows, columns] - alpha[rows] * alpha[columns]  # ∂/∂θ = ½ tr(M ∂K/∂θ), of which each pair is twice
        trace = float(np.trace(inverse)) - float(alpha @ alpha)
        penalty, gradient = self._priors.penalty(theta)
        by_lengthscale = -2 * signal * inverse_squares * (self._s @ (M * slope))
        by_signal, by_noise = signal * float(M @ value) + 0.5 * signal * trace, 0.5 * noise * trace
        parts = [by_lengthscale, [by_signal, by_noise, -np.sum(alpha)]]
        if warp is not None:
            parts.append(self._by_warp(warp, 2 * signal * inverse_squares[self._warped], M * slope))
        gradient = gradient + np.concatenate(parts)
        likelihood = 0.5 * float(residual @ alpha) + float(np.sum(np.log(np.diag(L)))) + 0.5 * n * log(2 * pi)
        return likelihood + penalty, gradient

    def _by_warp(self, warp: InputWarp, scale: FloatArray, weights: FloatArray) -> FloatArray:
        """∂/∂(log a, log b) (2c,): of each column's square of differences (c, pairs) the ``scale`` (c,), and the
        ``weights`` (pairs,) of all."""
        between = self._differences(warp(self._U)) * weights
        slopes = [scale * np.sum(between * self._differences(part), axis=1) for part in warp.by_logarithms(self._U)]
        return np.concatenate(slopes)

    def _differences(self, U: FloatArray) -> FloatArray:
        """(c, pairs) of the columns of ``U`` (n, c)."""
        rows, columns = self._pairs
        return (U[rows] - U[columns]).T

    def _factor(self, pairs: FloatArray, diagonal: float) -> FloatArray:
        """The lower factor (n, n) of the covariance, with as little jitter as it takes; what is above it is no data."""
        n = len(self._y)
        for relative in JITTERS:
            K = np.zeros((n, n), order="F")
            K[self._pairs] = pairs
            K[np.diag_indices(n)] = diagonal * (1 + relative)
            L, info = dpotrf(K, lower=1, overwrite_a=1)
            if info == 0 and np.isfinite(L[n - 1, n - 1]):
                return np.asarray(L)
        raise LinAlgError("the covariance matrix is not positive definite")


def fit_surrogate(
    name: KernelName,
    metrics: tuple[Metric, ...],
    X: FloatArray,
    y: FloatArray,
    generator: np.random.Generator,
    learn: IntArray | None = None,
    memory: Memory | None = None,
    warped: bool = False,
) -> Fit:
    """The surrogate of encoded points X (n, d) and standardised outputs y (n,), n >= 1; of ``warped`` inputs if wished.

    ``learn``: ascending positions of the points that teach the hyperparameters; None: all. ``memory`` keeps
    hyperparameters as long as these points are the same, and the factor.

    Raises:
        LinAlgError: not even the prior's hyperparameters make a positive definite covariance.
    """
    d = len(metrics)
    priors = default_priors(d, len(linear_columns(metrics)) if warped else 0)
    learn = np.arange(len(y)) if learn is None else learn
    chosen = learn[representative(y[learn], LARGEST_FIT)]
    notes = []
    if len(chosen) < len(learn):
        notes.append(f"hyperparameters were learnt from {len(chosen)} of {len(y)} trials")

    def search() -> FloatArray | None:
        return _search(name, metrics, X[chosen], y[chosen], priors, generator)

    arguments = (name, metrics, warped, X[chosen].tobytes(), y[chosen].tobytes())
    theta = search() if memory is None else memory.recall("hyperparameters", arguments, search)
    if theta is None:
        notes.append("the marginal likelihood could not be maximised; the prior's hyperparameters are used")
        theta = priors.mean
    kernel = Kernel(name, metrics, np.exp(theta[:d]), float(np.exp(theta[d])), warp_of(theta[d + 3 :]))
    mean, noise = float(theta[d + 2]), float(np.exp(theta[d + 1]))
    posterior, jitter = Posterior.of(kernel, mean, noise, X, y, memory)
    if jitter > 0:
        notes.append(f"the covariance needed a jitter of {jitter:.0e}")
    return Fit(posterior, tuple(notes))


def linear_columns(metrics: tuple[Metric, ...]) -> IntArray:
    """Columns that are numbers and always active."""
    return np.array([j for j, metric in enumerate(metrics) if metric is Metric.LINEAR], dtype=np.int64)


def warp_of(theta: FloatArray) -> InputWarp | None:
    """From (log a_1..c, log b_1..c)."""
    if len(theta) == 0:
        return None
    a, b = np.exp(theta.reshape(2, -1))
    return InputWarp(a, b)


def representative(y: FloatArray, limit: int) -> IntArray:
    """Ascending positions of at most ``limit`` points: the best, and as many spread evenly over the other ranks."""
    order = np.argsort(y, kind="stable")
    if len(order) <= limit:
        return np.arange(len(y))
    best, rest = order[: limit // 2], order[limit // 2 :]
    spread = np.linspace(0, len(rest) - 1, limit - len(best)).round().astype(np.int64)
    return np.sort(np.concatenate([best, rest[spread]]))


def _search(
    name: KernelName,
    metrics: tuple[Metric, ...],
    X: FloatArray,
    y: FloatArray,
    priors: Priors,
    generator: np.random.Generator,
) -> FloatArray | None:
    """From several starts on few points, then from the best of these on all; None when none ended at a finite value."""
    draws = priors.mean + priors.sd * generator.standard_normal((RESTARTS, len(priors.mean)))
    starts = [priors.mean, *np.clip(draws, priors.low, priors.high)]
    few = representative(y, FEW)
    coarse = _best_end(NegativeLogPosterior(name, metrics, X[few], y[few], priors), starts, priors)
    if len(few) == len(y) or coarse is None:
        return coarse
    return _best_end(NegativeLogPosterior(name, metrics, X, y, priors), [coarse], priors)


def _best_end(objective: NegativeLogPosterior, starts: Sequence[FloatArray], priors: Priors) -> FloatArray | None:
    """The best θ of all starts."""
    bounds = list(zip(priors.low, priors.high, strict=True))
    best_value, best_theta = np.inf, None
    for start in starts:
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
