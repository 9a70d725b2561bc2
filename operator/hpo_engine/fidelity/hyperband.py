"""Synchronous successive halving and Hyperband, folded from the trials.

Which bracket a trial belongs to follows from its index alone: brackets are filled in the order of the table, one
iteration after the other, until the budget is used; the last bracket may be cut short. A rung is settled when all its
members have reported, failed or stopped, and only then the best go on. While a rung waits, trials of later brackets
may start, so no slot idles as long as there is something to start. Successive halving is the table of one bracket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from hpo_engine.fidelity.base import Advance, Entry
from hpo_engine.fidelity.brackets import Bracket, Rung, Table
from hpo_engine.incumbent import loss_at
from hpo_engine.study import Objective
from hpo_engine.trial import Trial, TrialState


class Hyperband:
    """The brackets of one study with ``trials`` trials in all, each rung keeping one trial in ``eta``."""

    def __init__(self, table: Table, eta: int, objective: Objective, trials: int) -> None:
        self._table, self._eta, self._objective, self._trials = table, eta, objective, trials

    def entry(self, index: int) -> Entry:
        bracket = self._table.bracket(index)
        return Entry(bracket.rungs[0].resource, bracket.s)

    def advances(self, trials: Mapping[int, Trial], closed: bool) -> Iterator[Advance]:
        """Promotions that are due, earliest bracket first, within a bracket the best first.

        ``closed``: no trial will be started any more, so a bracket need not wait for those that it lacks.
        """
        for bracket, places in self._table.until(max(trials, default=-1) + 1):
            members = [trials[i] for i in places if i in trials]
            lacking = 0 if closed else sum(i < self._trials and i not in trials for i in places)
            if members and lacking == 0:
                yield from self._advances_within(bracket.narrowed(len(members), self._eta), members)

    def stops(self, trials: Mapping[int, Trial]) -> Iterator[int]:
        """None: who is not promoted has paused already."""
        return iter(())

    def _advances_within(self, bracket: Bracket, members: Sequence[Trial]) -> Iterator[Advance]:
        """The first rung that is settled and short of promotions decides: those above it are still to be filled."""
        entrants = members
        for rung, (here, above) in enumerate(pairwise(bracket.rungs)):
            promoted = [trial for trial in entrants if trial.rung > rung]
            if any(trial.rung == rung and trial.state is TrialState.RUNNING for trial in entrants):
                return
            if len(promoted) < above.width:
                due = self._waiting(entrants, rung, here)[: above.width - len(promoted)]
                yield from (Advance(trial.index, rung + 1, above.resource) for trial in due)
                if due:
                    return
            entrants = promoted

    def _waiting(self, entrants: Sequence[Trial], rung: int, here: Rung) -> list[Trial]:
        """Those paused at the rung with a finite value, best first."""
        ranked = [
            (loss, trial.index, trial)
            for trial in entrants
            if trial.rung == rung
            and trial.state is TrialState.REPORTED
            and (loss := loss_at(self._objective, trial, here.resource)) is not None
            and loss < float("inf")
        ]
        return [trial for *_, trial in sorted(ranked, key=lambda entry: entry[:2])]
