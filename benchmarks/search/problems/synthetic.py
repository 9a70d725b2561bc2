"""Synthetic objectives with made learning curves (``problems.curves``), for development.

Branin and Hartmann6 (Surjanovic & Bingham's library) and a mixed, conditional function of a network's training. In a
corner of each space runs diverge after a while; larger networks take longer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from engine.studies import BRANIN, HARTMANN6, MIXED, branin, hartmann6, mixed
from hpo_engine.space import Space
from hpo_engine.trial import Parameters
from search.problems.base import Curve, uniform
from search.problems.curves import MadeCurve


@dataclass
class Synthetic:
    """``diverges(parameters)``: the share of the training after which it does, or None. ``speed``: relative seconds."""

    name: str
    space: Space
    max_resource: int
    final: Callable[[Parameters], float]
    best: float
    diverges: Callable[[Parameters], float | None]
    speed: Callable[[Parameters], float] = lambda p: 1.0
    dev: bool = True
    typical: float = field(init=False)
    diverged: float = field(init=False)

    def __post_init__(self) -> None:
        sample = uniform(self.space, 2000, seed=1)
        finals = np.array([self.final(p) for p in sample])
        start = float(np.quantile(finals, 0.9))
        self.typical = float(np.median(np.minimum(finals, start)))
        self.diverged = self.best + 2 * (start - self.best)
        self.mean_speed = float(np.mean([self.speed(p) for p in sample]))
        noise = 0.002 * (self.typical - self.best)
        self.made = MadeCurve(self.name, self.space, self.max_resource, start, noise)

    def begin(self) -> Synthetic:
        return self

    def curve(self, parameters: Parameters, seed: int) -> Curve:
        final = self.final(parameters)
        observed, truth = self.made.observed(parameters, final, seed), self.made.truth(parameters, final)
        end = self.diverges(parameters)
        if end is not None:
            first = int(end * self.max_resource)
            observed[first:], truth[first:] = np.nan, np.nan
        return Curve(observed, truth, self.speed(parameters) / self.mean_speed / self.max_resource)


def branin_curve(name: str) -> Synthetic:
    return Synthetic(
        name, BRANIN, 27, branin, 0.397887, lambda p: 0.2 if float(p["x"]) > 6 and float(p["y"]) > 10 else None
    )


def hartmann6_curve(name: str) -> Synthetic:
    return Synthetic(
        name, HARTMANN6, 81, hartmann6, -3.32237, lambda p: 0.1 if float(p["x0"]) + float(p["x3"]) > 1.5 else None
    )


def mixed_curve(name: str) -> Synthetic:
    def speed(p: Parameters) -> float:
        return float(float(p["layers"]) * (1 + float(p["channels"]) / 32) ** 1.5)

    return Synthetic(name, MIXED, 27, mixed, 0.0, lambda p: 0.05 if float(p["learningRate"]) > 0.02 else None, speed)
