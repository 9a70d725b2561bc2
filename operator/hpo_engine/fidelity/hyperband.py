"""Synchronous Hyperband, folded from the trials.

Which bracket a trial belongs to follows from its index alone: brackets are filled in the order of the table, one
iteration after the other, until the budget is used; the last bracket may be cut short. A rung is settled when all its
members have reported, failed or stopped, and only then the best go on. While a rung waits, trials of later brackets
may start, so no slot idles as long as there is something to start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from hpo_engine.fidelity.base import Advance, Entry
from hpo_engine.fidelity.brackets import Bracket, Rung, hyperband_brackets
from hpo_engine.incumbent import loss_at
from hpo_engine.study import Fidelity, Objective
from hpo_engine.trial import Trial, TrialState


class Hyperband:
    """The brackets of one study with ``trials`` trials in all."""

    def __init__(self, fidelity: Fidelity, objective: Objective, trials: int) -> None:
        self._fidelity, self._objective, self._trials = fidelity, objective, trials
        self._table = hyperband_brackets(fidelity)
        self._iteration = sum(bracket.width for bracket in self._table)

    def bracket(self, index: int) -> Bracket:
        """The bracket, at its full width, that trial ``index`` enters."""
        place = index % self._iteration
        for bracket in self._table:
            if place < bracket.width:
                return bracket
            place -= bracket.width
        raise AssertionError("a place within the iteration lies in one of its brackets")

    def entry(self, index: int) -> Entry:
        bracket = self.bracket(index)
        return Entry(bracket.rungs[0].resource, bracket.s)

    def advances(self, trials: Mapping[int, Trial], closed: bool) -> Iterator[Advance]:
        """Promotions that are due, earliest bracket first, within a bracket the best first.

        ``closed``: no trial will be started any more, so a bracket need not wait for those that it lacks.
        """
        for bracket, places in self._brackets(max([self._trials - 1, *trials]) + 1):
            members = [i for i in places if i in trials or (i < self._trials and not closed)]
            if any(index in trials for index in members):
                fitting = bracket.narrowed(len(members), self._fidelity.eta)
                yield from self._advances_within(fitting, [trials.get(index) for index in members])

    def stops(self, trials: Mapping[int, Trial]) -> Iterator[int]:
        """None: who is not promoted has paused already."""
        return iter(())

    def _brackets(self, end: int) -> Iterator[tuple[Bracket, range]]:
        """Every bracket that begins before ``end``, and the indices of its trials."""
        start = 0
        while start < end:
            bracket = self.bracket(start)
            yield bracket, range(start, start + bracket.width)
            start += bracket.width

    def _advances_within(self, bracket: Bracket, members: list[Trial | None]) -> Iterator[Advance]:
        entrants: Sequence[Trial | None] = members
        for rung, (here, above) in enumerate(pairwise(bracket.rungs)):
            settled = [trial for trial in entrants if trial is not None and _is_settled(trial, rung)]
            if len(settled) < len(entrants):
                return
            promoted = [trial for trial in settled if trial.rung > rung]
            waiting = self._waiting(settled, rung, here)
            due = waiting[: max(0, above.width - len(promoted))]
            yield from (Advance(trial.index, rung + 1, above.resource) for trial in due)
            if due:
                return
            entrants = promoted

    def _waiting(self, settled: list[Trial], rung: int, here: Rung) -> list[Trial]:
        """Members paused at the rung with a finite value, best first."""
        ranked = [
            (loss, trial.index, trial)
            for trial in settled
            if trial.rung == rung
            and trial.state is TrialState.REPORTED
            and (loss := loss_at(self._objective, trial, here.resource)) is not None
            and loss < float("inf")
        ]
        return [trial for *_, trial in sorted(ranked, key=lambda entry: entry[:2])]


def _is_settled(trial: Trial, rung: int) -> bool:
    return trial.rung > rung or trial.state is not TrialState.RUNNING
