"""The acquisition functions: what is worth trying next, by the model's beliefs. All are maximised.

LogEI     log of expected improvement below ``best``; see log_ei.
LogPI     log Φ((L* - ξ - μ) / σ), the log of the probability to get below the target L* by more than ξ (Kushner 1964).
          Which target, is up to the caller.
LCB       -(μ - √β σ), the confidence bound of a loss, with β = 0.2 d log 2t (Kandasamy et al. 2015): the d log t
          that Srinivas et al. 2010, theorem 2, need for vanishing regret, with a constant that works in practice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import log, pi, sqrt
from typing import Protocol, Self, runtime_checkable

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


@runtime_checkable
class Batched(AcquisitionFunction, Protocol):
    """What makes the maximisation fast: slopes of many points at once, and the same function of other beliefs."""

    def slopes(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values (n,) and slopes (n, d) at encoded ``points`` (n, d); 0 for what is categorical or inactive."""

    def under(self, posterior: Posterior) -> Batched:
        """This function of another posterior."""


@dataclass(frozen=True)
class ByBeliefs(ABC):
    """A function of nothing but mean and standard deviation at a point."""

    posterior: Posterior

    @abstractmethod
    def value(self, mean: FloatArray, sd: FloatArray) -> FloatArray:
        """Values (n,) of beliefs, all (n,)."""

    @abstractmethod
    def value_and_slopes(self, mean: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Values of beliefs and the derivatives by mean and by sd, all (n,)."""

    def __call__(self, points: FloatArray) -> FloatArray:
        return self.value(*self.posterior.predict(points))

    def with_slopes(self, point: FloatArray, coordinates: IntArray) -> tuple[float, FloatArray]:
        value, slopes = self.slopes(point[None, :])
        return float(value[0]), slopes[0, coordinates]

    def slopes(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, sd, mean_slopes, sd_slopes = self.posterior.slopes(points)
        value, by_mean, by_sd = self.value_and_slopes(mean, sd)
        return value, by_mean[:, None] * mean_slopes + by_sd[:, None] * sd_slopes

    def under(self, posterior: Posterior) -> Self:
        return replace(self, posterior=posterior)


@dataclass(frozen=True)
class LogEI(ByBeliefs):
    """log EI below ``best`` under ``posterior``."""

    best: float

    def value(self, mean: FloatArray, sd: FloatArray) -> FloatArray:
        return log_ei(mean, sd, self.best)

    def value_and_slopes(self, mean: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return log_ei_slopes(mean, sd, self.best)


@dataclass(frozen=True)
class LogPI(ByBeliefs):
    """log of the probability to lie below ``target``."""

    target: float

    def value(self, mean: FloatArray, sd: FloatArray) -> FloatArray:
        return np.asarray(log_ndtr((self.target - mean) / sd))

    def value_and_slopes(self, mean: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        z = (self.target - mean) / sd
        value = log_ndtr(z)
        by_z = np.exp(-0.5 * z**2 - 0.5 * log(2 * pi) - value)  # φ(z) / Φ(z)
        return value, -by_z / sd, -by_z * z / sd


@dataclass(frozen=True)
class LCB(ByBeliefs):
    """-(μ - √β σ) with ``beta`` β."""

    beta: float

    def value(self, mean: FloatArray, sd: FloatArray) -> FloatArray:
        return np.asarray(sqrt(self.beta) * sd - mean)

    def value_and_slopes(self, mean: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return sqrt(self.beta) * sd - mean, -np.ones_like(mean), np.full_like(sd, sqrt(self.beta))


def beta(dimension: int, index: int) -> float:
    """β for trial ``index`` (the t-th with t = index + 1) in a space of ``dimension`` parameters."""
    return 0.2 * dimension * log(2 * (index + 1))
