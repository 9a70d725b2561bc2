"""Expectation propagation for Gaussian variables that are known to be positive, up to a probit's softness.

    p(t) ∝ N(t | m, V) Π_i Φ(t_i)

Each Φ(t_i) is replaced by a Gaussian site, such that the marginals' means and variances are right with all other sites
in place (Minka 2001; Rasmussen & Williams 2006, section 3.6). For probit likelihoods this is close to exact sampling,
where Laplace's approximation puts the probabilities too near a half (Kuss & Rasmussen 2005, section 6): that
difference is just what a decision between "fits" and "does not fit" is about.

All sites are updated at once, damped. The posterior is unimodal, and the order of the sites carries nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import numpy as np
from scipy.linalg import cho_solve
from scipy.special import log_ndtr

from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate.cholesky import factor

SWEEPS = 60
DAMPING = 0.8
TOLERANCE = 1e-4
SMALLEST_PRECISION = 1e-10


@dataclass(frozen=True)
class Sites:
    """Pseudo-observations ``value`` (k,) of t with noise variances ``noise`` (k,), and the log evidence."""

    value: FloatArray
    noise: FloatArray
    log_evidence: float


def positive_sites(mean: FloatArray, covariance: FloatArray) -> Sites:
    """The sites of Π Φ(t_i) under N(mean (k,), covariance (k, k)).

    Raises:
        LinAlgError: the covariance is not positive semi-definite, or holds a NaN.
    """
    k = len(mean)
    precision, shift = np.full(k, SMALLEST_PRECISION), np.zeros(k)
    for _ in range(SWEEPS):
        middle, variance, _ = _marginals(mean, covariance, precision, shift)
        wanted, wanted_shift = _moments(*_cavity(middle, variance, precision, shift))
        change = np.max(np.abs(wanted - precision) / (1 + precision)) if k else 0.0
        precision = precision + DAMPING * (wanted - precision)
        shift = shift + DAMPING * (wanted_shift - shift)
        if change < TOLERANCE:
            break
    return Sites(shift / precision, 1 / precision, _evidence(mean, covariance, precision, shift))


def _marginals(
    mean: FloatArray, covariance: FloatArray, precision: FloatArray, shift: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Means and variances (k,) of the approximation, and the factor of B = I + S½ V S½ (R&W eqs. 3.67, 3.68)."""
    root = np.sqrt(precision)
    L, _ = factor(np.eye(len(mean)) + root[:, None] * covariance * root)
    solved = cho_solve((L, True), root[:, None] * covariance, check_finite=False)
    posterior = covariance - (covariance * root) @ solved
    return posterior @ (shift - precision * mean) + mean, np.maximum(np.diag(posterior), 1e-12), L


def _cavity(
    middle: FloatArray, variance: FloatArray, precision: FloatArray, shift: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Precision τ₋ and mean μ₋ of each marginal without its own site (eq. 3.56)."""
    left = np.maximum(1 / variance - precision, SMALLEST_PRECISION)
    return left, (middle / variance - shift) / left


def _moments(left: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sites (precision, precision times value) that match the moments of N(μ₋, 1/τ₋) Φ (eqs. 3.58, 3.59)."""
    variance = 1 / left
    z = mean / np.sqrt(1 + variance)
    ratio = np.exp(-0.5 * z**2 - 0.5 * log(2 * pi) - log_ndtr(z))
    tilted_mean = mean + variance * ratio / np.sqrt(1 + variance)
    tilted = np.maximum(variance - variance**2 * ratio * (z + ratio) / (1 + variance), 1e-12)
    precision = np.maximum(1 / tilted - left, SMALLEST_PRECISION)
    return precision, tilted_mean * (precision + left) - left * mean


def _evidence(mean: FloatArray, covariance: FloatArray, precision: FloatArray, shift: FloatArray) -> float:
    """log ∫ N(t | m, V) Π Φ(t_i) dt as EP has it (eq. 3.65)."""
    if len(mean) == 0:
        return 0.0
    middle, variance, _ = _marginals(mean, covariance, precision, shift)
    left, cavity = _cavity(middle, variance, precision, shift)
    value, spread = shift / precision, 1 / left + 1 / precision
    L, _ = factor(covariance + np.diag(1 / precision))
    residual = value - mean
    sites = log_ndtr(cavity / np.sqrt(1 + 1 / left)) + 0.5 * np.log(spread) + 0.5 * (cavity - value) ** 2 / spread
    solved = cho_solve((L, True), residual, check_finite=False)
    return float(np.sum(sites) - np.sum(np.log(np.diag(L))) - 0.5 * residual @ solved)
