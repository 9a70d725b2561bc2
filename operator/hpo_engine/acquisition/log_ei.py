"""The logarithm of expected improvement, exact where expected improvement itself is zero in floating point.

For a minimised function with posterior N(μ, σ²) and the best value f*: z = (f* - μ) / σ, h(z) = φ(z) + z Φ(z) and
EI = σ h(z). Ament et al. 2023, "Unexpected Improvements to Expected Improvement for Bayesian Optimization", eqs. 8-9
and appendix A.1. Far from the incumbent EI underflows and its gradient vanishes; log EI stays a plain parabola there.
"""

from __future__ import annotations

from math import log, pi, sqrt

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from hpo_engine.parameters import FloatArray

HALF_LOG_2PI = 0.5 * log(2 * pi)
HALF_LOG_PI_2 = 0.5 * log(pi / 2)
FAR = -1e3
"""Below, the asymptotic series loses less than the cancellation in the exact formula."""


def log_h(z: FloatArray) -> FloatArray:
    """log(φ(z) + z Φ(z)), element by element, for every real z."""
    z = np.asarray(z, dtype=np.float64)
    near = np.maximum(z, -1.0)
    left = np.clip(z, FAR, -1.0)
    far = np.minimum(z, FAR)
    direct = np.log(np.exp(-0.5 * near**2 - HALF_LOG_2PI) + near * ndtr(near))
    ratio = np.log(erfcx(-left / sqrt(2)) * -left) + HALF_LOG_PI_2
    scaled = -0.5 * left**2 - HALF_LOG_2PI + _log1mexp(ratio)
    series = -0.5 * far**2 - HALF_LOG_2PI - 2 * np.log(-far) + np.log1p(-3 / far**2)
    return np.where(z > -1.0, direct, np.where(z > FAR, scaled, series))


def log_ei(mean: FloatArray, sd: FloatArray, best: float) -> FloatArray:
    """log EI (n,) of beliefs with means and standard deviations (n,) below ``best``."""
    return np.asarray(np.log(sd) + log_h((best - mean) / sd))


def log_ei_slopes(mean: FloatArray, sd: FloatArray, best: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """log EI of beliefs, and its derivatives by the mean and by the standard deviation; all (n,)."""
    z = (best - mean) / sd
    h = log_h(z)
    by_mean = -np.exp(log_ndtr(z) - h) / sd
    by_sd = np.exp(-0.5 * z**2 - HALF_LOG_2PI - h) / sd
    return np.log(sd) + h, by_mean, by_sd


def _log1mexp(x: FloatArray) -> FloatArray:
    """log(1 - eˣ) for x < 0 (Mächler 2012)."""
    near = np.maximum(x, -log(2))
    return np.where(x > -log(2), np.log(-np.expm1(near)), np.log1p(-np.exp(np.minimum(x, -log(2)))))
