"""Which configurations can be trained at all: learned from the trials that could not, and from what the others used.

A training fails for lack of memory where its demand g(x) exceeds a limit c. Both are unknown:

    log g ~ GP with the covariance of trend.py, given the peak memory of the trials that reported it,
    log c ~ normal, and above the largest demand that was met.

Each failure says g > c, each trial that went well g < c: censored observations, with a probit's softness s. By
expectation propagation they become Gaussian sites, so that t(x) = (log c - log g(x)) / s stays Gaussian and

    P(feasible | x) = E Φ(t) = Φ(mean / √(1 + variance)).

With reported memory the boundary is learned from the trials that went well, too; without it, this is a Gaussian
process classifier with a linear trend. Other permanent failures have a classifier of their own for each reason: what
is out of memory says nothing about what diverges. There is no made-up loss anywhere (Bertrand 2019, section 2.6.3: to
leave failures out makes the search pick their neighbours for ever, and a bad loss breaks the smoothness).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log, pi

import numpy as np
from scipy.linalg import cho_solve
from scipy.special import log_ndtr

from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate.cholesky import factor
from hpo_engine.surrogate.cost import CostModel, fit_cost
from hpo_engine.surrogate.expectation_propagation import positive_sites
from hpo_engine.surrogate.trend import Features, Placed

SOFTNESS = 0.05
"""s: demands within 5 % of the limit may end either way."""
UNKNOWN = 1e12
"""Noise variance of a site that says nothing."""
LIMIT_SD = 3.0
"""Of log c, around the largest demand that was met."""
MOST_FAILURES, MOST_SUCCESSES = 100, 100


@dataclass(frozen=True)
class Outcomes:
    """Of one reason to fail: encoded points (·, d) that failed, that were trained; what these used (NaN: unknown)."""

    failed: FloatArray
    trained: FloatArray
    used: FloatArray


@dataclass(frozen=True)
class Feasibility:
    """t(x) given all observations, as one Gaussian process.

    ``demand`` knows the reported use, ``limit`` is the prior mean of log c. Sites are at ``points`` (k, d), with
    ``signs`` (k,): +1 trained, -1 failed; a last one is on the limit alone, of weight 0 where no use is known. ``L``
    and ``alpha`` solve for all k + 1.
    """

    demand: CostModel
    limit: float
    points: FloatArray
    signs: FloatArray
    L: FloatArray
    alpha: FloatArray

    def __call__(self, Z: FloatArray) -> FloatArray:
        """log P(feasible) (q,) at encoded points ``Z`` (q, d)."""
        mean, variance, *_ = self._latent(self.demand.kernel.placed(Z))
        return np.asarray(log_ndtr(mean / np.sqrt(1 + variance)))

    def slopes(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """log P(feasible) (q,) at encoded points ``Z`` (q, d), and its derivatives (q, d)."""
        z = self.demand.kernel.placed(Z)
        mean, variance, by_data, by_site = self._latent(z)
        mean_slopes, variance_slopes = self._latent_slopes(z, by_data, by_site[:-1])
        root = np.sqrt(1 + variance)
        value = log_ndtr(mean / root)
        ratio = np.exp(-0.5 * (mean / root) ** 2 - 0.5 * log(2 * pi) - value)  # φ / Φ
        return value, (ratio / root)[:, None] * (mean_slopes - (0.5 * mean / root**2)[:, None] * variance_slopes)

    def _latent(self, z: Placed) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Means and variances (q,) of t, and what its covariances solve to: with the data of log g (n, q), and with
        the sites (k + 1, q)."""
        kernel, data, sites = self.demand.kernel, self.demand.data, self._sites
        to_data = kernel(data, z)
        by_data = self.demand.solve(to_data)
        prior_mean = self.demand.centre + to_data.T @ self.demand.alpha
        prior_variance = kernel.variances(z) - np.einsum("ij,ij->j", to_data, by_data)
        cross = _cross(kernel(z, sites) - by_data.T @ self._between, self.signs)
        by_site = cho_solve((self.L, True), cross.T, check_finite=False)
        mean = (self.limit - prior_mean) / SOFTNESS + cross @ self.alpha
        variance = (prior_variance + LIMIT_SD**2) / SOFTNESS**2 - np.einsum("ij,ji->i", cross, by_site)
        return mean, np.maximum(variance, 0.0), by_data, by_site

    def _latent_slopes(self, z: Placed, solved: FloatArray, sites: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivatives (q, d) of the means and variances of t; both are sums of covariances with the data.

        ``solved`` (n, q) and ``sites`` (k, q) as ``_latent`` gives them, without the site on the limit: its covariance
        is the same everywhere.
        """
        demand, q = self.demand, len(z)
        mean_by_site = np.repeat((self.signs * self.alpha[:-1])[:, None], q, axis=1) / SOFTNESS**2
        mean_by_data = -np.repeat(demand.alpha[:, None], q, axis=1) / SOFTNESS - self._through @ mean_by_site
        by_site = -2 * self.signs[:, None] * sites / SOFTNESS**2
        by_data = -2 * solved / SOFTNESS**2 - self._through @ by_site
        mean_slopes, slopes = demand.kernel.slopes(
            z, self._everything, np.vstack([mean_by_data, mean_by_site]), np.vstack([by_data, by_site])
        )
        return mean_slopes, slopes + demand.kernel.variance_slopes(z) / SOFTNESS**2

    @cached_property
    def _sites(self) -> Placed:
        return self.demand.kernel.placed(self.points)

    @cached_property
    def _everything(self) -> Placed:
        return self.demand.kernel.placed(np.vstack([self.demand.X, self.points]))

    @cached_property
    def _between(self) -> FloatArray:
        """Covariances (n, k) of log g at its data with log g at the sites."""
        return self.demand.kernel(self.demand.data, self._sites)

    @cached_property
    def _through(self) -> FloatArray:
        return self.demand.solve(self._between)


def _cross(covariances: FloatArray, signs: FloatArray) -> FloatArray:
    """Covariances (q, k + 1) of t(Z) with the sites' variables, from those of log g(Z) with log g at the sites."""
    own = signs * (covariances + LIMIT_SD**2)
    return np.hstack([own, np.full((len(covariances), 1), LIMIT_SD**2)]) / SOFTNESS**2


def fit_feasibility(features: Features, seen: Outcomes) -> Feasibility:
    """The model of all outcomes for one reason to fail.

    Raises:
        LinAlgError: a covariance is not positive definite.
    """
    known = np.isfinite(seen.used)
    demand = fit_cost(features, seen.trained[known], seen.used[known])
    failed, trained = spread(seen.failed, MOST_FAILURES), spread(seen.trained[~known], MOST_SUCCESSES)
    points = np.vstack([failed, trained])
    signs = np.repeat([-1.0, 1.0], [len(failed), len(trained)])
    most = float(np.log(np.max(seen.used[known]))) if known.any() else None
    limit = demand.centre if most is None else most
    mean, covariance = _sites_prior(demand, limit, points, signs)
    active = np.ones(len(mean), dtype=bool)
    active[-1] = most is not None
    sites = positive_sites(mean[active], covariance[np.ix_(active, active)])
    noise, value = np.full(len(mean), UNKNOWN), mean.copy()
    noise[active], value[active] = sites.noise, sites.value
    L, _ = factor(covariance + np.diag(noise))
    return Feasibility(demand, limit, points, signs, L, cho_solve((L, True), value - mean))


def _sites_prior(
    demand: CostModel, limit: float, points: FloatArray, signs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean (k + 1,) and covariance (k + 1, k + 1) of ±t at the points, and of (log c - limit) / s."""
    own = np.outer(signs, signs) * (demand.covariance(points, points) + LIMIT_SD**2)
    with_limit = signs * LIMIT_SD**2
    covariance = np.block([[own, with_limit[:, None]], [with_limit[None, :], np.array([[LIMIT_SD**2]])]])
    mean = np.append(signs * (limit - demand.predict(points)[0]), 0.0)
    return mean / SOFTNESS, covariance / SOFTNESS**2


def spread(points: FloatArray, limit: int) -> FloatArray:
    """At most ``limit`` rows, evenly over all."""
    if len(points) <= limit:
        return points
    return points[np.linspace(0, len(points) - 1, limit).round().astype(np.int64)]
