"""Hyperband's brackets as a table, in integers.

``floor(log(243, 3))`` is 4 in floating point, and a whole bracket is lost to it; here nothing is ever rounded but by
integer division. Source: Li et al. 2018, "Hyperband", JMLR 18, Algorithm 1, with the smallest resource r_min as the
unit of R and fractional resources rounded down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from hpo_engine.study import Fidelity


@dataclass(frozen=True)
class Rung:
    """``width`` trials trained to ``resource`` in total."""

    resource: int
    width: int


@dataclass(frozen=True)
class Bracket:
    """One run of successive halving; ``s`` is its number of promotions, the paper's name for a bracket."""

    s: int
    rungs: tuple[Rung, ...]

    @property
    def width(self) -> int:
        """Trials that enter it."""
        return self.rungs[0].width

    def narrowed(self, width: int, eta: int) -> Bracket:
        """The same bracket for fewer trials, as at the end of a budget: every rung still promotes at least one."""
        rungs = (Rung(rung.resource, max(1, width // eta**k)) for k, rung in enumerate(self.rungs))
        return Bracket(self.s, tuple(rungs))


@dataclass(frozen=True)
class Table:
    """Brackets that are filled in their order, again and again: a trial's index alone tells which one it enters."""

    brackets: tuple[Bracket, ...]

    def bracket(self, index: int) -> Bracket:
        """The bracket, at its full width, that trial ``index`` enters."""
        return next(bracket for bracket, places in self.from_index(index) if index in places)

    def until(self, end: int) -> Iterator[tuple[Bracket, range]]:
        """Every bracket that begins before ``end``, and the indices of its trials."""
        for bracket, places in self.from_index(0):
            if places.start >= end:
                return
            yield bracket, places

    def from_index(self, index: int) -> Iterator[tuple[Bracket, range]]:
        """Without end, from the first bracket of the iteration that ``index`` belongs to."""
        start = index - index % self._iteration
        while True:
            for bracket in self.brackets:
                yield bracket, range(start, start + bracket.width)
                start += bracket.width

    @cached_property
    def _iteration(self) -> int:
        return sum(bracket.width for bracket in self.brackets)


def largest_s(fidelity: Fidelity) -> int:
    """The largest s with r_min * eta**s <= R."""
    s = 0
    while fidelity.minimum * fidelity.eta ** (s + 1) <= fidelity.maximum:
        s += 1
    return s


def ladder(fidelity: Fidelity) -> tuple[int, ...]:
    """The resources R / eta**s, ..., R / eta, R of the rungs, ascending."""
    return tuple(fidelity.maximum // fidelity.eta**k for k in range(largest_s(fidelity), -1, -1))


def hyperband_brackets(fidelity: Fidelity) -> tuple[Bracket, ...]:
    """One Hyperband iteration, the most exploring bracket first.

    Bracket s starts n = ceil((s_max + 1) / (s + 1) * eta**s) trials at R / eta**s; rung i keeps floor(n / eta**i).
    """
    s_max = largest_s(fidelity)
    return tuple(_bracket(s, s_max, fidelity) for s in range(s_max, -1, -1))


def _bracket(s: int, s_max: int, fidelity: Fidelity) -> Bracket:
    eta = fidelity.eta
    n = -(-(s_max + 1) * eta**s // (s + 1))
    return Bracket(s, tuple(Rung(fidelity.maximum // eta ** (s - i), n // eta**i) for i in range(s + 1)))
