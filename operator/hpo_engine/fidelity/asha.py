"""Asynchronous successive halving (ASHA) by promotion: no rung is ever waited for.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", MLSys, Algorithm 2, in integers: at a free
slot, from the highest rung downwards, a trial among the best floor(n / eta) of the n that were measured at its rung
goes on, if it did not already; when there is none, a new trial begins. With the table of one bracket it is ASHA, with
all brackets of Hyperband it is asynchronous Hyperband, the paper's section 3.3.

n counts measurements, as in the paper: a trial that failed before it was measured at a rung is none of the rung's, one
that measured no number is, and is never promoted. A trial that was stopped while it waited is counted and passed over.

The paper's search has no end. Here it has: once no trial is to be started any more and a rung is settled, at least
one of it goes on, so that the smallest study too has a trial at the full resource.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from hpo_engine.fidelity.base import Advance, Entry
from hpo_engine.fidelity.brackets import Bracket, Table
from hpo_engine.study import Objective
from hpo_engine.trial import Trial, TrialState


@dataclass
class Queue:
    """A rung as it stands: ``measured`` trials in all, of them (loss, index, waits) that can be ranked; any running?"""

    measured: int = 0
    ranked: list[tuple[float, int, bool]] = field(default_factory=list)
    running: bool = False


class ASHA:
    """Promotions within the brackets of ``table``, of a study with ``trials`` trials in all."""

    def __init__(self, table: Table, eta: int, objective: Objective, trials: int) -> None:
        self._table, self._eta, self._objective, self._trials = table, eta, objective, trials

    def entry(self, index: int) -> Entry:
        bracket = self._table.bracket(index)
        return Entry(bracket.rungs[0].resource, bracket.s if len(self._table.brackets) > 1 else None)

    def advances(self, trials: Mapping[int, Trial], closed: bool) -> Iterator[Advance]:
        """The highest rung first, within a rung the best first. Those on one rung of several brackets take turns."""
        full = closed or all(index in trials for index in range(self._trials))
        due = [advance for bracket, members in self._members(trials) for advance in self._due(bracket, members, full)]
        return iter(sorted(due, key=lambda advance: -advance.resource))

    def stops(self, trials: Mapping[int, Trial]) -> Iterator[int]:
        """None: who is not promoted has paused already."""
        return iter(())

    def _members(self, trials: Mapping[int, Trial]) -> Iterator[tuple[Bracket, Sequence[Trial]]]:
        """The trials of each bracket, over all iterations of the table."""
        if len(self._table.brackets) == 1:
            yield self._table.brackets[0], tuple(trials.values())
            return
        members: dict[Bracket, list[Trial]] = {bracket: [] for bracket in self._table.brackets}
        for bracket, places in self._table.until(max(trials, default=-1) + 1):
            members[bracket].extend(trials[i] for i in places if i in trials)
        yield from members.items()

    def _due(self, bracket: Bracket, members: Sequence[Trial], full: bool) -> Iterator[Advance]:
        """From the lowest rung on, as a rung is settled only when nothing below it can still reach it."""
        queues = self._queues(bracket, members)
        settled = full
        for k, above in enumerate(bracket.rungs[1:]):
            settled = settled and not queues[k].running
            width = max(queues[k].measured // self._eta, 1 if settled else 0)
            best = sorted(queues[k].ranked)[:width]
            due = [index for _, index, waits in best if waits]
            yield from (Advance(index, k + 1, above.resource) for index in due)
            settled = settled and not due

    def _queues(self, bracket: Bracket, members: Sequence[Trial]) -> Mapping[int, Queue]:
        rungs = {rung.resource: k for k, rung in enumerate(bracket.rungs)}
        queues: defaultdict[int, Queue] = defaultdict(Queue)
        sign = self._objective.loss(1.0)
        for trial in members:
            rung, reported = trial.rung, trial.state is TrialState.REPORTED
            if trial.state is TrialState.RUNNING:
                queues[rung].running = True
            for measurement in trial.measurements:
                k = rungs.get(measurement.resource)
                if k is not None and k <= rung:
                    queue = queues[k]
                    queue.measured += 1
                    if isfinite(measurement.value) and (reported or k < rung):
                        queue.ranked.append((sign * measurement.value, trial.index, k == rung))
        return queues
