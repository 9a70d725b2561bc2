"""What trials measure in a simulation: random, but with the regularities that schedulers and models live on.

The loss of configuration x after r units is f(x) + a(x) (r / R)^(-α(x)), a power law in r, the commonest of the curves
that Domhan et al. (2015, "Speeding up automatic hyperparameter optimization of deep neural networks", section 3.1)
fit to real trainings. f, log a and α are random functions of x, each drawn anew: similar configurations do similarly,
short runs predict long ones well but not perfectly, and every measurement is a little noisy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hpo_engine.analysis.belief import Belief
from hpo_engine.errors import StudyError
from hpo_engine.parameters import FloatArray
from hpo_engine.space import Space
from hpo_engine.surrogate.trend import REACH, Features
from hpo_engine.trial import Parameters

WAVES = 64
NOISE = 0.05
"""Standard deviation of a measurement, where that of f over the space is 1."""
GAP, GAP_SPREAD = 0.3, 0.5
"""a(x): its median, and the standard deviation of its logarithm."""
EXPONENTS = (0.3, 1.2)


@dataclass(frozen=True)
class RandomFunction:
    """A draw of a Gaussian process with unit variance over a space, by random Fourier features (Rahimi and Recht 2007,
    "Random features for large-scale kernel machines"). ``frequencies`` (WAVES, p), ``phases`` (WAVES,).
    """

    features: Features
    frequencies: FloatArray
    phases: FloatArray

    @classmethod
    def drawn(cls, space: Space, chance: np.random.Generator) -> RandomFunction:
        features = Features(space)
        columns = features(np.full((1, space.dimension), 0.5)).shape[1]
        reach = REACH * math.sqrt(space.dimension)
        return cls(features, chance.standard_normal((WAVES, columns)) / reach, chance.uniform(0, 2 * np.pi, WAVES))

    def __call__(self, x: FloatArray) -> float:
        """At one encoded point (d,)."""
        angles = self.frequencies @ self.features(x[None, :])[0] + self.phases
        return math.sqrt(2 / WAVES) * float(np.cos(angles).sum())


@dataclass(frozen=True)
class Landscape:
    """Losses in units of their spread. ``most``: R, the largest resource; 0 without a fidelity."""

    space: Space
    final: Callable[[Parameters], float]
    gap: RandomFunction
    exponent: RandomFunction
    most: int
    seed: int

    def loss(self, index: int, parameters: Parameters, resource: int) -> float:
        """Of trial ``index`` after ``resource`` units; the same whenever it is asked."""
        x = self.space.encode(parameters)
        value = self.final(parameters)
        if self.most and resource:
            low, high = EXPONENTS
            exponent = low + (high - low) * 0.5 * (1 + math.erf(self.exponent(x) / math.sqrt(2)))
            value += GAP * math.exp(GAP_SPREAD * self.gap(x)) * (resource / self.most) ** -exponent
        noise = np.random.default_rng((self.seed, index, resource)).standard_normal()
        return value + NOISE * float(noise)


def drawn_landscape(
    space: Space, most: int, seed: int, chance: np.random.Generator, belief: Belief | None = None
) -> Landscape:
    """``belief``: of an earlier study; f then is what its model believes, as far as it does, and random beyond."""
    random = RandomFunction.drawn(space, chance)

    def final(parameters: Parameters) -> float:
        deviation = random(space.encode(parameters))
        believed = None if belief is None else _believed(belief, parameters)
        return deviation if believed is None else believed[0] + believed[1] * deviation

    gap, exponent = RandomFunction.drawn(space, chance), RandomFunction.drawn(space, chance)
    return Landscape(space, final, gap, exponent, most, seed)


def _believed(belief: Belief, parameters: Parameters) -> tuple[float, float] | None:
    """Mean and standard deviation of the model's output; None where the earlier study had no such configuration."""
    space = belief.study.space
    try:
        space.check(parameters)
    except StudyError:
        return None
    mean, sd = belief.posterior.predict(space.encode(parameters)[None, :])
    return float(mean[0]), float(sd[0])
