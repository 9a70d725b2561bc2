"""Seconds that a Pod spends before it trains: learned from rungs of different lengths, or assumed.

T = c + u s(x): if c is right, all Pods of a trial agree on the seconds of a unit, (T - c) / u. Where none tells, c is
about what the built-in trainer needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpo_engine.parameters import FloatArray
from hpo_operator.simulation.timings import Timed, Timings

STARTUP_SECONDS = 10.0
"""About what the built-in trainer needs to import torch and MONAI and to read its data."""
FEWEST_PAIRS = 2
"""Trials with rungs of different lengths from which c counts as measured."""
CANDIDATES, MOST = 200, 0.95
"""Values of c that are weighed, up to that share of the shortest Pod."""
POD_NOISE, POD_NOISE_WEIGHT = 0.05, 2.0
"""Standard deviation of log s between Pods of one trial: a guess, and how many observations it is worth."""


@dataclass(frozen=True)
class Startup:
    """``candidates`` (k,) for c with their ``weights``; ``trials``: indices of the ``groups`` of what was timed.

    ``known``: c was measured or stated rather than assumed.
    """

    groups: Mapping[int, Sequence[Timed]]
    candidates: FloatArray
    weights: FloatArray
    known: bool

    @property
    def trials(self) -> list[int]:
        return list(self.groups)

    @property
    def mean(self) -> float:
        return float(self.weights @ self.candidates)

    def drawn(self, chance: np.random.Generator) -> float:
        return float(chance.choice(self.candidates, p=self.weights))

    def logs(self, c: float) -> FloatArray:
        """log s of each trial, if that is c. Of what a Pod took at least a twentieth is training."""
        training = [sum(max(one.seconds - c, 0.05 * one.seconds) for one in group) for group in self.groups.values()]
        units = [sum(one.units for one in group) for group in self.groups.values()]
        return np.log(np.asarray(training, dtype=np.float64) / np.asarray(units, dtype=np.float64))


def likely_startup(timings: Timings, stated: float | None) -> Startup:
    """``stated``: c itself. Without a fidelity there is nothing before a trial: all of its Pod is its one unit."""
    indices = sorted({one.trial for one in timings.timed})
    groups = {i: [one for one in timings.timed if one.trial == i] for i in indices}
    if stated is not None or timings.whole:
        return Startup(groups, np.array([stated or 0.0]), np.ones(1), known=True)
    shortest = min(one.seconds for one in timings.timed)
    candidates = np.linspace(0.0, MOST * shortest, CANDIDATES)
    pairs = [group for group in groups.values() if len({one.units for one in group}) > 1]
    density = -np.log1p((candidates / STARTUP_SECONDS) ** 2)
    if pairs:
        freedom = sum(len(group) - 1 for group in pairs) + POD_NOISE_WEIGHT
        guess = POD_NOISE_WEIGHT * POD_NOISE**2
        density -= freedom / 2 * np.log(guess + np.array([_disagreement(pairs, c) for c in candidates]))
    weights = np.exp(density - density.max())
    return Startup(groups, candidates, weights / weights.sum(), len(pairs) >= FEWEST_PAIRS)


def _disagreement(pairs: Sequence[Sequence[Timed]], c: float) -> float:
    """Squares of log s around each trial's mean, over all Pods."""
    total = 0.0
    for group in pairs:
        logs = np.log([(one.seconds - c) / one.units for one in group])
        total += float(np.sum((logs - logs.mean()) ** 2))
    return total
