"""What every scheduler is: a rule for how much of the fidelity each trial gets, folded from the trials each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from hpo_engine.study import Fidelity
from hpo_engine.trial import Trial


@dataclass(frozen=True)
class Entry:
    """What a new trial is trained to first (0: no fidelity), and the bracket it belongs to."""

    resource: int
    bracket: int | None = None


@dataclass(frozen=True)
class Advance:
    """Trial ``index`` deserves rung ``rung``, which ends at ``resource``."""

    index: int
    rung: int
    resource: int


class Scheduler(Protocol):
    """Rules over all trials of a study, by index. They know nothing of parameters."""

    def entry(self, index: int) -> Entry:
        """Where trial ``index`` begins."""

    def advances(self, trials: Mapping[int, Trial], closed: bool) -> Iterator[Advance]:
        """Promotions that are due, the most urgent first.

        ``closed``: no trial will be started any more, so nobody need wait for those that are lacking.
        """

    def stops(self, trials: Mapping[int, Trial]) -> Iterator[int]:
        """Running trials that are not worth their slot any more, by what they measured on the way."""


@dataclass(frozen=True)
class LowestRung:
    """Every trial begins at the lowest rung; who goes on is decided by a model elsewhere (samplers.freeze_thaw)."""

    lowest: int

    def entry(self, index: int) -> Entry:
        return Entry(self.lowest)

    def advances(self, trials: Mapping[int, Trial], closed: bool) -> Iterator[Advance]:
        return iter(())

    def stops(self, trials: Mapping[int, Trial]) -> Iterator[int]:
        return iter(())


@dataclass(frozen=True)
class SingleRung:
    """No scheduler: every trial is trained once, to the maximum of the fidelity if there is one."""

    fidelity: Fidelity | None

    def entry(self, index: int) -> Entry:
        return Entry(self.fidelity.maximum if self.fidelity is not None else 0)

    def advances(self, trials: Mapping[int, Trial], closed: bool) -> Iterator[Advance]:
        return iter(())

    def stops(self, trials: Mapping[int, Trial]) -> Iterator[int]:
        return iter(())
