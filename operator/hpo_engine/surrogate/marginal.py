"""Hyperparameters drawn from their posterior instead of maximised: slice sampling.

p(θ | X, y) ∝ p(y | X, θ) p(θ), one coordinate at a time, by stepping out and shrinking (Neal 2003, "Slice Sampling",
sections 4 and 4.1; eq. 2.12 of Bertrand's thesis, and Snoek et al. 2012, section 3.2, integrate acquisition functions
over such draws). It needs no step size that would have to be tuned. The chain begins at the maximum.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import LinAlgError

from hpo_engine.parameters import FloatArray
from hpo_engine.study import Kernel as KernelName
from hpo_engine.surrogate.fitting import NegativeLogPosterior, linear_columns, representative
from hpo_engine.surrogate.kernels import Kernel
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.surrogate.priors import Priors, default_priors

SAMPLES, BURN_IN = 8, 4
"""Draws that are kept, and sweeps before the first; a sweep moves every coordinate once."""
WIDTH = 1.0
"""Of the first interval, in units of the priors' standard deviations."""
STEPS = 8
LARGEST = 100
"""Points that teach the hyperparameters."""

LogDensity = Callable[[FloatArray], float]
Objective = Callable[[FloatArray], tuple[float, FloatArray]]
"""A negative log density up to a constant, and its gradient. Raises LinAlgError where there is none."""


def marginal_posteriors(name: KernelName, fitted: Posterior, generator: np.random.Generator) -> tuple[Posterior, ...]:
    """SAMPLES posteriors of the data in ``fitted``, each with hyperparameters of its own.

    Those whose covariance is not positive definite are left out.
    """
    kernel, priors = fitted.kernel, default_priors(len(fitted.kernel.metrics))
    chosen = representative(fitted.y, LARGEST)
    objective = NegativeLogPosterior(name, kernel.metrics, _warped(kernel, fitted.X[chosen]), fitted.y[chosen], priors)
    start = np.concatenate([np.log(kernel.lengthscales), np.log([kernel.signal, fitted.noise]), [fitted.mean]])
    posteriors = []
    for theta in slice_samples(log_density(objective), start, priors, SAMPLES, BURN_IN, generator):
        d = len(kernel.metrics)
        drawn = Kernel(name, kernel.metrics, np.exp(theta[:d]), float(np.exp(theta[d])), kernel.warp)
        try:
            made, _ = Posterior.of(drawn, float(theta[d + 2]), float(np.exp(theta[d + 1])), fitted.X, fitted.y)
        except LinAlgError:
            continue
        posteriors.append(made)
    return tuple(posteriors)


def _warped(kernel: Kernel, X: FloatArray) -> FloatArray:
    """The points as the fitted warp sees them: the warp is kept, whatever is drawn."""
    columns = linear_columns(kernel.metrics)
    if kernel.warp is None:
        return X
    X = X.copy()
    X[:, columns] = kernel.warp(X[:, columns])
    return X


def log_density(objective: Objective) -> LogDensity:
    """Of θ up to a constant; minus infinity where the covariance has no factor."""

    def density(theta: FloatArray) -> float:
        try:
            return -objective(theta)[0]
        except LinAlgError:
            return -np.inf

    return density


def slice_samples(
    density: LogDensity, start: FloatArray, priors: Priors, count: int, burn_in: int, generator: np.random.Generator
) -> FloatArray:
    """``count`` draws (count, p), one for each sweep after ``burn_in``; all within the priors' box."""
    theta, draws = np.clip(start, priors.low, priors.high), []
    value = density(theta)
    for sweep in range(burn_in + count):
        for j in generator.permutation(len(theta)):
            theta, value = _moved(density, theta, value, int(j), priors, generator)
        if sweep >= burn_in:
            draws.append(theta)
    return np.array(draws).reshape(count, len(start))


def _moved(
    density: LogDensity, theta: FloatArray, value: float, j: int, priors: Priors, generator: np.random.Generator
) -> tuple[FloatArray, float]:
    """θ with another j-th coordinate, drawn uniformly from the slice, and its density."""

    def at(x: float) -> tuple[FloatArray, float]:
        moved = theta.copy()
        moved[j] = x
        inside = priors.low[j] <= x <= priors.high[j]
        return moved, density(moved) if inside else -np.inf

    level = value - generator.exponential()
    width = WIDTH * float(priors.sd[j])
    low = float(theta[j]) - width * generator.random()
    high, left = low + width, int(generator.integers(STEPS))
    for _ in range(left):
        if at(low)[1] <= level:
            break
        low -= width
    for _ in range(STEPS - 1 - left):
        if at(high)[1] <= level:
            break
        high += width
    while high - low > 1e-9:
        x = generator.uniform(low, high)
        moved, there = at(x)
        if there > level:
            return moved, there
        low, high = (x, high) if x < theta[j] else (low, x)
    return theta, value
