"""Acquisition functions times what else counts: probabilities to be feasible, costs, beliefs of the user.

Every acquisition function but the confidence bound is a logarithm, so factors are added as logarithms, too: log EI +
log P(feasible) - log cost is the log of the expected gain of a feasible trial per second (Gelbart et al. 2014, eq. 5;
Snoek et al. 2012, section 3.2). For the bound of a loss, in standard deviations, they are penalties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hpo_engine.acquisition.functions import Batched
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.surrogate.cost import CostModel
from hpo_engine.surrogate.posterior import Posterior


class LogFactor(Protocol):
    """The logarithm of something positive, as a function of the configuration."""

    def __call__(self, points: FloatArray, /) -> FloatArray:
        """Values (n,) at encoded ``points`` (n, d)."""

    def slopes(self, points: FloatArray, /) -> tuple[FloatArray, FloatArray]:
        """Values (n,) and slopes (n, d) at encoded ``points`` (n, d); 0 for what is categorical or inactive."""


@dataclass(frozen=True)
class Inverse:
    """1 / cost, by the mean of the predicted logarithm."""

    cost: CostModel

    def __call__(self, points: FloatArray) -> FloatArray:
        return -self.cost.predict(points)[0]

    def slopes(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        value, slopes = self.cost.mean_slopes(points)
        return -value, -slopes


@dataclass(frozen=True)
class Power:
    """``factor`` to the power of ``exponent``."""

    factor: LogFactor
    exponent: float

    def __call__(self, points: FloatArray) -> FloatArray:
        return self.exponent * self.factor(points)

    def slopes(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        value, slopes = self.factor.slopes(points)
        return self.exponent * value, self.exponent * slopes


@dataclass(frozen=True)
class Product:
    """``function`` with the factors added; its posterior is the function's."""

    function: Batched
    factors: Sequence[LogFactor]

    @property
    def posterior(self) -> Posterior:
        return self.function.posterior

    def __call__(self, points: FloatArray) -> FloatArray:
        return self.function(points) + total(self.factors, points)

    def slopes(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        value, slopes = self.function.slopes(points)
        for factor in self.factors:
            more, more_slopes = factor.slopes(points)
            value, slopes = value + more, slopes + more_slopes
        return value, slopes

    def with_slopes(self, point: FloatArray, coordinates: IntArray) -> tuple[float, FloatArray]:
        value, slopes = self.slopes(point[None, :])
        return float(value[0]), slopes[0, coordinates]

    def under(self, posterior: Posterior) -> Product:
        return Product(self.function.under(posterior), self.factors)


def total(factors: Sequence[LogFactor], points: FloatArray) -> FloatArray:
    """The sum (n,) of all factors at encoded ``points`` (n, d)."""
    values = np.zeros(len(points))
    for factor in factors:
        values = values + factor(points)
    return values
