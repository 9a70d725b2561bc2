"""Two objectives at once: the expected gain of the dominated area, in closed form.

For independent Gaussian beliefs y₁, y₂ (both minimised) and a front between which and the reference r the area counts,

    EHVI = Σ_i (EI₁(s_{i+1}) - EI₁(s_i)) · EI₂(h_i),    EI_k(c) = E max(c - y_k, 0),

over the strips between neighbours of the front: s_i are their first losses (s_0 = -∞, the last r₁), h_i the second loss
of the neighbour on the left (h_0 = r₂). It is the integral of P(y₁ ≤ a) P(y₂ ≤ b) over what the front does not
dominate (Emmerich et al. 2011, "Hypervolume-based expected improvement"; Yang et al. 2019 for this form). Everything is
done in logarithms, as for log EI.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, pi

import numpy as np
from scipy.special import log_ndtr, logsumexp

from hpo_engine.acquisition.log_ei import log_h
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.surrogate.posterior import Posterior


@dataclass(frozen=True)
class LogEHVI:
    """log EHVI under ``posterior`` and ``second``; ``front`` (m, 2) in ascending order of the first loss, m >= 0."""

    posterior: Posterior
    second: Posterior
    front: FloatArray
    reference: tuple[float, float]

    def __call__(self, points: FloatArray) -> FloatArray:
        mean, sd = self.posterior.predict(points)
        other_mean, other_sd = self.second.predict(points)
        return np.asarray(logsumexp(self._strips(mean, sd, other_mean, other_sd), axis=0))

    def slopes(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values (n,) and slopes (n, d) at encoded ``points`` (n, d); 0 for what is categorical or inactive."""
        mean, sd, mean_slopes, sd_slopes = self.posterior.slopes(points)
        other_mean, other_sd, other_mean_slopes, other_sd_slopes = self.second.slopes(points)
        strips = self._strips(mean, sd, other_mean, other_sd)
        value = logsumexp(strips, axis=0)
        right, left, height = self._edges()
        tops = self._log_ei(height, other_mean, other_sd) - value
        widths = strips - tops - value  # log (EI₁(right) - EI₁(left))
        cdf, pdf = _cdf, _pdf
        by_mean = -_sum(tops, cdf(right, mean, sd)) + _sum(tops, cdf(left, mean, sd))
        by_sd = _sum(tops, pdf(right, mean, sd)) - _sum(tops, pdf(left, mean, sd))
        by_other_mean = -_sum(widths, cdf(height, other_mean, other_sd) - value)
        by_other_sd = _sum(widths, pdf(height, other_mean, other_sd) - value)
        slopes = by_mean[:, None] * mean_slopes + by_sd[:, None] * sd_slopes
        return value, slopes + by_other_mean[:, None] * other_mean_slopes + by_other_sd[:, None] * other_sd_slopes

    def with_slopes(self, point: FloatArray, coordinates: IntArray) -> tuple[float, FloatArray]:
        value, slopes = self.slopes(point[None, :])
        return float(value[0]), slopes[0, coordinates]

    def under(self, posterior: Posterior) -> LogEHVI:
        return replace(self, posterior=posterior)

    def _edges(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Right and left end and height of each strip (m + 1, 1)."""
        first, second = self.front[:, 0], self.front[:, 1]
        right = np.append(first, self.reference[0])
        left, height = np.insert(first, 0, -np.inf), np.insert(second, 0, self.reference[1])
        return right[:, None], left[:, None], height[:, None]

    def _strips(self, mean: FloatArray, sd: FloatArray, other_mean: FloatArray, other_sd: FloatArray) -> FloatArray:
        """The logarithm of each strip's part (m + 1, n)."""
        right, left, height = self._edges()
        outer, inner = self._log_ei(right, mean, sd), self._log_ei(left, mean, sd)
        width = outer + np.log(-np.expm1(np.minimum(inner - outer, -1e-15)))
        return np.asarray(width + self._log_ei(height, other_mean, other_sd))

    @staticmethod
    def _log_ei(edges: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
        """log E max(edge - y, 0) (m, n) for ``edges`` (m, 1) and beliefs (n,)."""
        finite = np.where(np.isfinite(edges), edges, 0.0)
        return np.where(np.isfinite(edges), np.log(sd) + log_h((finite - mean) / sd), -np.inf)


def _cdf(edges: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    return np.asarray(log_ndtr((edges - mean) / sd))


def _pdf(edges: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    return np.asarray(-0.5 * ((edges - mean) / sd) ** 2 - 0.5 * log(2 * pi))


def _sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """Σ exp(a + b) over the strips."""
    return np.asarray(np.exp(a + b).sum(axis=0))
