"""What training costs in a simulation: stated by the user, or learned from what an earlier study measured.

A draw is one possible truth: the seconds c that a Pod spends before it trains, s(x) of a unit with each configuration,
and how much slower or faster than the last time all of it is this time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hpo_engine.errors import StudyError
from hpo_engine.parameters import FloatArray
from hpo_engine.space import Space
from hpo_engine.surrogate.cost import BIAS, PRIORS, negative_log_posterior
from hpo_engine.surrogate.marginal import log_density, slice_samples
from hpo_engine.surrogate.paths import Path
from hpo_engine.surrogate.trend import Features, TrendKernel
from hpo_engine.trial import Parameters
from hpo_operator.simulation.startup import STARTUP_SECONDS, Startup, likely_startup
from hpo_operator.simulation.timings import START_SECONDS, Timings

SPREAD, SPREAD_RANGE = 0.4, 0.5
"""Standard deviation of log s(x) over a space of which nothing was timed, and of its own logarithm. On real grids it
is 0.28 (NAS-Bench-201), 0.7 to 0.8 (HPOlib) and 1.8 to 2.1 (HPOBench, whose networks differ a thousandfold)."""
GAIN, GAIN_SPREAD = 0.3, 0.35
"""By how many standard deviations lower the losses are where log s(x) is one of its own higher: dear configurations
do better more often than not. Correlations of loss and time on these grids: +0.1 to -0.65, -0.25 on average."""
DRIFT = 0.05
"""Standard deviation of the logarithm of what differs from one run to another for all Pods alike: nodes, their load."""
SAMPLES, BURN_IN = 16, 8
PLACES = 128
"""Random configurations that stand for the space."""


def no_gain(parameters: Parameters) -> float:
    return 0.0


@dataclass(frozen=True)
class Prices:
    """One possible truth. ``startup``: seconds of a Pod before it trains; ``per_unit``: of a configuration.

    ``gain``: by how many standard deviations its losses are lower because it is dear, where values tell nothing of it.
    """

    startup: float
    per_unit: Callable[[Parameters], float]
    gain: Callable[[Parameters], float] = no_gain


class Costs(Protocol):
    """``start_seconds``: from a Pod's creation to its start."""

    @property
    def start_seconds(self) -> float: ...

    def drawn(self, space: Space, chance: np.random.Generator) -> Prices:
        """One possible truth about configurations of ``space``, as likely as the costs are believed to be."""
        ...


@dataclass(frozen=True)
class StatedCosts:
    """``seconds_per_unit``: on average over the space. ``spread``: how far configurations differ, of log s(x)."""

    seconds_per_unit: float
    startup: float = STARTUP_SECONDS
    start_seconds: float = START_SECONDS
    spread: float = SPREAD
    drift: float = DRIFT

    def drawn(self, space: Space, chance: np.random.Generator) -> Prices:
        """log s(x) rises or falls along every parameter, at random; the average is as stated."""
        pace, features = math.exp(self.drift * chance.standard_normal()), Features(space)
        places = features(space.snap(chance.random((PLACES, space.dimension))))
        slopes = chance.standard_normal(places.shape[1])
        slopes /= max(float(np.std(places @ slopes)), 1e-9)
        middle, spread = (
            float(np.mean(places @ slopes)),
            self.spread * math.exp(SPREAD_RANGE * chance.standard_normal()),
        )
        average = float(np.mean(np.exp(spread * (places @ slopes - middle))))
        gain = GAIN + GAIN_SPREAD * float(chance.standard_normal())

        def dearness(parameters: Parameters) -> float:
            return float(features(space.encode(parameters)[None, :])[0] @ slopes) - middle

        def per_unit(parameters: Parameters) -> float:
            return pace * self.seconds_per_unit * math.exp(spread * dearness(parameters)) / average

        return Prices(pace * self.startup, per_unit, lambda parameters: gain * dearness(parameters))


@dataclass(frozen=True)
class MeasuredCosts:
    """By a model of the logarithm of s(x) over the space of an earlier study; what was timed there costs the same.

    ``X`` (n, d): encodings of the ``trials`` that were timed; ``thetas`` (k, 3): draws of the model's hyperparameters.
    """

    timings: Timings
    before: Startup
    X: FloatArray
    thetas: FloatArray
    start_seconds: float
    drift: float = DRIFT

    @property
    def trials(self) -> int:
        return len(self.X)

    @property
    def startup(self) -> float:
        """Mean seconds of a Pod before it trains, as far as they are known."""
        return self.before.mean + self.timings.unreported

    @property
    def typical(self) -> float:
        """Seconds per unit of the average configuration measured (the geometric mean)."""
        return math.exp(float(np.mean(self.before.logs(self.before.mean))))

    def drawn(self, space: Space, chance: np.random.Generator) -> Prices:
        pace, startup = math.exp(self.drift * chance.standard_normal()), self.before.drawn(chance)
        theta = self.thetas[int(chance.integers(len(self.thetas)))]
        drawn = DrawnCosts(self.timings.space, self.X, self.before.logs(startup), theta, chance)
        return Prices(pace * (startup + self.timings.unreported), lambda parameters: pace * drawn.per_unit(parameters))


def measured_costs(timings: Timings, startup: float | None) -> MeasuredCosts:
    """``startup``: seconds of a Pod before it trains, None to learn them as well."""
    before = likely_startup(timings, None if startup is None else max(0.0, startup - timings.unreported))
    space = timings.space
    X = np.array([space.encode(timings.parameters[i]) for i in before.trials])
    y = before.logs(before.mean)
    density = log_density(negative_log_posterior(Features(space), X, y - y.mean()))
    thetas = slice_samples(density, PRIORS.mean, PRIORS, SAMPLES, BURN_IN, np.random.default_rng(len(X)))
    return MeasuredCosts(timings, before, X, thetas, timings.start_seconds)


class DrawnCosts:
    """One draw of log s(x), of which ``y`` (n,) are known at ``X`` (n, d); the same whenever it is asked for."""

    def __init__(
        self, space: Space, X: FloatArray, y: FloatArray, theta: FloatArray, chance: np.random.Generator
    ) -> None:
        slope, departure, noise = (float(sd) for sd in np.exp(theta))
        self._space, self._kernel, self._noise = space, TrendKernel(Features(space), BIAS, slope, departure), noise**2
        self._centre, self._width, self._chance = float(y.mean()), float(y.std()), chance
        self._points, self._path = np.zeros((0, space.dimension)), Path(chance)
        self._known: dict[str, float] = {}
        for x, value in zip(X, y, strict=True):
            self._path.told(*self._seen(x), float(value) - self._centre)
            self._points = np.vstack([self._points, x])
            self._known[str(x.tolist())] = float(value)

    def per_unit(self, parameters: Parameters) -> float:
        """Of a configuration that the space does not have, what its average one would cost, more or less."""
        try:
            self._space.check(parameters)
        except StudyError:
            return math.exp(self._known.setdefault(repr(sorted(parameters.items())), self._stranger()))
        x = self._space.encode(parameters)
        key = str(x.tolist())
        if key not in self._known:
            self._known[key] = self._path.drawn(*self._seen(x)) + self._centre
            self._points = np.vstack([self._points, x])
        return math.exp(self._known[key])

    def _stranger(self) -> float:
        return self._centre + self._width * float(self._chance.standard_normal())

    def _seen(self, x: FloatArray) -> tuple[FloatArray, float]:
        """Covariances with the points so far, and the variance of what is timed."""
        at = x[None, :]
        cross = self._kernel(self._points, at)[:, 0] if len(self._points) else np.zeros(0)
        return cross, float(self._kernel.variances(at)[0]) + self._noise
