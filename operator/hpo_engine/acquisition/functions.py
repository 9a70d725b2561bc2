"""The acquisition functions: what is worth trying next, by the model's beliefs. All are maximised.

LogEI     log of expected improvement below ``best``; see log_ei.
LogPI     log Φ((L* - ξ - μ) / σ), the log of the probability to get below the target L* by more than ξ (Kushner 1964).
          Which target, is up to the caller.
LCB       -(μ - √β σ), the confidence bound of a loss, with β = 0.2 d log 2t (Kandasamy et al. 2015): the d log t
          that Srinivas et al. 2010, theorem 2, need for vanishing regret, with a constant that works in practice.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi, sqrt
from typing import Protocol

import numpy as np
from scipy.special import log_ndtr

from hpo_engine.acquisition.log_ei import log_ei, log_ei_slopes
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.surrogate.posterior import Posterior


class AcquisitionFunction(Protocol):
    """A value for every point; the larger, the more it is worth to be tried."""

    @property
    def posterior(self) -> Posterior: ...

    def __call__(self, points: FloatArray) -> FloatArray:
        """Values (n,) at encoded ``points`` (n, d)."""

    def with_slopes(self, point: FloatArray, coordinates: IntArray) -> tuple[float, FloatArray]:
        """Value at one encoded point (d,), and derivatives (c,) by some of its active coordinates."""


@dataclass(frozen=True)
class LogEI:
    """log EI below ``best`` under ``posterior``."""

    posterior: Posterior
    best: float

    def __call__(self, points: FloatArray) -> FloatArray:
        return log_ei(*self.posterior.predict(points), self.best)

    def with_slopes(self, point: FloatArray, coordinates: IntArray) -> tuple[float, FloatArray]:
        mean, sd, mean_slopes, sd_slopes = self.posterior.predict_with_slopes(point, coordinates)
        value, by_mean, by_sd = log_ei_slopes(mean, sd, self.best)
        return value, by_mean * mean_slopes + by_sd * sd_slopes


@dataclass(frozen=True)
class LogPI:
    """log of the probability to lie below ``target``."""

    posterior: Posterior
    target: float

    def __call__(self, points: FloatArray) -> FloatArray:
        mean, sd = self.posterior.predict(points)
        return np.asarray(log_ndtr((self.target - mean) / sd))

    def with_slopes(self, point: FloatArray, coordinates: IntArray) -> tuple[float, FloatArray]:
        mean, sd, mean_slopes, sd_slopes = self.posterior.predict_with_slopes(point, coordinates)
        z = (self.target - mean) / sd
        value = float(log_ndtr(z))
        by_z = float(np.exp(-0.5 * z**2 - 0.5 * log(2 * pi) - value))  # φ(z) / Φ(z)
        return value, -by_z * (mean_slopes + z * sd_slopes) / sd


@dataclass(frozen=True)
class LCB:
    """-(μ - √β σ) with ``beta`` β."""

    posterior: Posterior
    beta: float

    def __call__(self, points: FloatArray) -> FloatArray:
        mean, sd = self.posterior.predict(points)
        return np.asarray(sqrt(self.beta) * sd - mean)

    def with_slopes(self, point: FloatArray, coordinates: IntArray) -> tuple[float, FloatArray]:
        mean, sd, mean_slopes, sd_slopes = self.posterior.predict_with_slopes(point, coordinates)
        return sqrt(self.beta) * sd - mean, sqrt(self.beta) * sd_slopes - mean_slopes


def beta(dimension: int, index: int) -> float:
    """β for trial ``index`` (the t-th with t = index + 1) in a space of ``dimension`` parameters."""
    return 0.2 * dimension * log(2 * (index + 1))
