"""Hyperparameters of the learning-curve model: the maximum of marginal likelihood times prior, coarse to fine.

θ = (log ℓ_1..d, log σ_g², log σ_h², log σ_u², log λ, log σ_n², m, c, γ, log a), as in ``curves``. Gradients
are analytic but for b(t), whose derivative by log a is a difference quotient of b itself.
"""

from __future__ import annotations

from math import log

import numpy as np
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs
from scipy.optimize import minimize

from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray
from hpo_engine.study import Kernel as KernelName
from hpo_engine.surrogate.curves import JITTER, CurveData, CurveParameters, CurvePosterior, remaining
from hpo_engine.surrogate.kernels import Metric, radial, squared_distance
from hpo_engine.surrogate.priors import Priors, default_priors

COARSE, FINE = 50, 120
"""Hyperparameters are searched on this many observations first, and from there on that many."""
LARGEST = 300
"""Most observations that predictions use: of every trial its longest run, then what else there is room for."""
COARSE_ITERATIONS, FINE_ITERATIONS = 50, 20
STEP = 1e-4


def curve_priors(dimension: int) -> Priors:
    """Length scales as for a plain process; σ_g² around 1, σ_h² around 0.4, σ_u² around 0.05, λ around 1.6 (a curve
    keeps its rank), σ_n² around 0.0025, m and c around 0, γ around 0 (the spread is the same everywhere), a around 0.5.
    """
    plain = default_priors(dimension)
    rows = [
        (0.0, 1.0, -4.0, 4.0),
        (-1.0, 1.5, -8.0, 4.0),
        (-3.0, 1.5, -9.0, 3.0),
        (0.5, 1.0, -3.0, 4.0),
        (-6.0, 2.0, log(1e-6), 0.5),
        (0.0, 1.0, -3.0, 3.0),
        (0.0, 1.0, -4.0, 4.0),
        (0.0, 0.5, -2.0, 2.0),
        (-0.7, 0.5, -3.0, 1.0),
    ]
    tail = np.asarray(rows, dtype=np.float64).T
    d = dimension
    parts = (plain.mean[:d], plain.sd[:d], plain.low[:d], plain.high[:d])
    mean, sd, low, high = (np.concatenate([head, end]) for head, end in zip(parts, tail, strict=True))
    return Priors(mean, sd, low, high)


class CurveLikelihood:
    """-log p(y | θ) - log p(θ) up to a constant, with its gradient."""

    def __init__(self, name: KernelName, metrics: tuple[Metric, ...], data: CurveData, priors: Priors) -> None:
        self._name, self._data, self._priors = name, data, priors
        n = len(data.y)
        squares = [squared_distance(metric, data.X[:, j], data.X[:, j]) for j, metric in enumerate(metrics)]
        self._s = np.stack(squares).reshape(len(metrics), n * n)
        self._same = data.trial[:, None] == data.trial[None, :]
        tau = np.log(data.resource) / log(max(data.maximum, 2))
        self._lag = np.abs(tau[:, None] - tau[None, :])

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Raises LinAlgError where the covariance is not positive definite."""
        d, data, n = len(self._s), self._data, len(self._data.y)
        inverse_squares = np.exp(-2 * theta[:d])
        final, gap, own, persistence, noise = (float(v) for v in np.exp(theta[d : d + 5]))
        mean, rise, widening = (float(v) for v in theta[d + 5 : d + 8])
        b, b_slope = self._remaining(float(theta[d + 8]))
        correlation, slope = radial(self._name, (inverse_squares @ self._s).reshape(n, n))
        decay = np.where(self._same, np.exp(-self._lag / persistence), 0.0)
        scale = np.exp(widening * b)
        scales, bb = np.outer(scale, scale), np.outer(b, b)
        smooth = final + gap * bb
        covariance = scales * (smooth * correlation + own * decay)
        L = _factor(covariance, noise + JITTER)
        residual = data.y - mean - rise * b
        alpha = dpotrs(L, residual, lower=1)[0]
        inverse = dpotri(L, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        M = 0.5 * (inverse - np.outer(alpha, alpha))  # ∂/∂θ = tr(M ∂K/∂θ)
        scaled = M * scales
        by_correlation = scaled * correlation
        whole = np.sum(M * covariance, axis=1)
        own_part = own * scaled * decay
        gap_part = np.sum(by_correlation * b[None, :], axis=1)
        gradient = np.empty(d + 9)
        gradient[:d] = -2 * inverse_squares * (self._s @ (scaled * smooth * slope).ravel())
        gradient[d : d + 9] = (
            final * np.sum(by_correlation),
            gap * float(b @ gap_part),
            np.sum(own_part),
            np.sum(own_part * self._lag) / persistence,
            noise * np.trace(M),
            -np.sum(alpha),
            -float(b @ alpha),
            2 * float(b @ whole),
            2 * gap * float(gap_part @ b_slope) + 2 * widening * float(whole @ b_slope) - rise * float(alpha @ b_slope),
        )
        penalty, penalty_slopes = self._priors.penalty(theta)
        likelihood = 0.5 * float(residual @ alpha) + float(np.sum(np.log(np.diag(L))))
        return likelihood + penalty, gradient + penalty_slopes

    def _remaining(self, log_exponent: float) -> tuple[FloatArray, FloatArray]:
        """b (n,), and its derivative by log a."""
        here, there = (
            remaining(self._data.resource, self._data.maximum, float(np.exp(log_exponent + step)))
            for step in (0.0, STEP)
        )
        return here, (there - here) / STEP


def fit_curves(
    name: KernelName, metrics: tuple[Metric, ...], data: CurveData, memory: Memory
) -> tuple[CurvePosterior, tuple[str, ...]]:
    """The model of all curves, and notes where it had to make do with less.

    Raises:
        LinAlgError: not even the prior's hyperparameters make a positive definite covariance.
    """
    priors, notes = curve_priors(len(metrics)), []
    learnt = thinned(data, FINE)

    def search() -> FloatArray | None:
        coarse = _search(name, metrics, thinned(data, COARSE), priors, priors.mean, COARSE_ITERATIONS)
        if len(learnt.y) <= COARSE or coarse is None:
            return coarse
        return _search(name, metrics, learnt, priors, coarse, FINE_ITERATIONS)

    arguments = (name, metrics, *(part.tobytes() for part in (learnt.X, learnt.resource, learnt.trial, learnt.y)))
    theta = memory.recall("curves", arguments, search)
    if theta is None:
        notes.append("the marginal likelihood could not be maximised; the prior's hyperparameters are used")
        theta = priors.mean
    used = thinned(data, LARGEST)
    if len(used.y) < len(data.y):
        notes.append(f"the model uses {len(used.y)} of {len(data.y)} measurements")
    return CurvePosterior.of(CurveParameters.of(name, metrics, theta), used), tuple(notes)


def thinned(data: CurveData, limit: int) -> CurveData:
    """At most ``limit`` observations: the ends of the curves first, or the best and some of all ranks of these.

    What is left goes to the other points of the curves, the longest runs first.
    """
    n = len(data.y)
    if n <= limit:
        return data
    last: dict[int, int] = {}
    for i in np.argsort(data.resource, kind="stable"):
        last[int(data.trial[i])] = int(i)
    ends = np.array(sorted(last.values(), key=lambda i: (data.y[i], i)))
    if len(ends) >= limit:
        best, rest = ends[: limit // 2], ends[limit // 2 :]
        others = rest[np.linspace(0, len(rest) - 1, limit - len(best)).round().astype(np.int64)]
    else:
        best, others = ends, np.setdiff1d(np.arange(n), ends)
        others = others[np.argsort(-data.resource[others], kind="stable")][: limit - len(ends)]
    return data[np.sort(np.concatenate([best, others]))]


def _search(
    name: KernelName,
    metrics: tuple[Metric, ...],
    data: CurveData,
    priors: Priors,
    start: FloatArray,
    iterations: int,
) -> FloatArray | None:
    try:
        result = minimize(
            CurveLikelihood(name, metrics, data, priors),
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(priors.low, priors.high, strict=True)),
            options={"maxiter": iterations, "ftol": 1e-6},
        )
    except LinAlgError:
        return None
    return np.asarray(result.x) if np.isfinite(result.fun) else None


def _factor(covariance: FloatArray, noise: float) -> FloatArray:
    K = np.array(covariance, order="F")
    K[np.diag_indices(len(K))] += noise
    L, info = dpotrf(K, lower=1, overwrite_a=1)
    if info != 0 or not np.isfinite(np.diag(L)).all():
        raise LinAlgError("the covariance matrix is not positive definite")
    return np.asarray(L)
