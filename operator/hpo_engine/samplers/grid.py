"""Every configuration of a finite space once, in an order that covers the space evenly from its first points on.

Configuration number (offset + i · step) mod N comes i-th, with ``step`` prime to N: a rank-1 lattice on the line of all
configurations (Niederreiter 1992, "Random Number Generation and Quasi-Monte Carlo Methods", chapter 5), which visits
each exactly once and needs no list. Of CANDIDATES steps the most even one is taken. A study that ends early has then
seen the whole range of every parameter, where the usual nested loops would not have left the first value of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np

from hpo_engine.enumeration import Enumeration
from hpo_engine.low_discrepancy import centred_discrepancy
from hpo_engine.memory import Memory
from hpo_engine.rationale import Rationale
from hpo_engine.samplers.base import History, keys
from hpo_engine.seeding import Purpose, rng
from hpo_engine.space import Space
from hpo_engine.study import Study
from hpo_engine.trial import Parameters, Trial

CANDIDATES = 16
"""Steps to choose from; with 64 the order is hardly more even, and choosing takes four times as long."""
PREFIXES = (16, 64)
"""Lengths at which an order is judged."""


class GridSampler:
    """Suggests the configuration at place ``index`` of the order; if that was used, the next unused one after it."""

    def __init__(self, study: Study, history: History, memory: Memory) -> None:
        self._space = study.space
        self._used = history.used(study.space)
        self._order = memory.recall("grid", (study.space, study.seed), lambda: Order(study.space, study.seed))
        self.notes: tuple[str, ...] = ()

    def suggest(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        used = self._used | keys(self._space, pending)
        size = self._order.configurations.size
        if len(used) >= size:
            return None
        for place in range(index, index + size):
            parameters = self._order.at(place % size)
            if self._space.key(parameters) not in used:
                return parameters, Rationale("Grid")
        return None


class Order:
    """A permutation of the configurations of a finite ``space``."""

    def __init__(self, space: Space, seed: int) -> None:
        self.configurations = Enumeration(space)
        size, generator = self.configurations.size, rng(seed, Purpose.GRID)
        self._offset = int(generator.integers(size))
        steps = [_prime_to(size, int(generator.integers(size))) for _ in range(CANDIDATES)]
        self._step = steps[0]
        self._step = min(steps, key=self._unevenness)

    def at(self, place: int) -> Parameters:
        """The configuration at ``place``, 0 <= place < size."""
        return self.configurations.configuration(self._number(place, self._step))

    def _number(self, place: int, step: int) -> int:
        return (self._offset + place * step) % self.configurations.size

    def _unevenness(self, step: int) -> float:
        """The sum of log centred L2 discrepancies (Hickernell 1998) of the first points; inactive is the middle."""
        total = 0.0
        for length in PREFIXES:
            if length <= self.configurations.size:
                numbers = np.array([self._number(place, step) for place in range(length)], dtype=np.int64)
                points = np.nan_to_num(self.configurations.encoded(numbers), nan=0.5)
                total += float(np.log(centred_discrepancy(points)))
        return total


def _prime_to(size: int, start: int) -> int:
    """The first number from ``start`` on that has no factor in common with ``size``."""
    while gcd(start, size) > 1:
        start += 1
    return start
