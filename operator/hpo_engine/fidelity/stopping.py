"""Schedulers that stop what runs: every trial is on its way to the full resource, and may lose its slot on it.

They look at what running trials measured in between. What they decide follows from the measurements alone and not from
the order in which they came: a trial is judged again whenever there is news, of its own or of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf, isfinite

import numpy as np

from hpo_engine.fidelity.base import Advance, Entry
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.study import Fidelity, Objective
from hpo_engine.trial import Trial, TrialState

FEWEST_COMPLETED = 3
"""Trials at the full resource before a median of them stops anything."""


class Stopping:
    """What the stopping rules share: nothing is ever paused or promoted."""

    def __init__(self, fidelity: Fidelity, objective: Objective) -> None:
        self._fidelity, self._objective = fidelity, objective

    def entry(self, index: int) -> Entry:
        return Entry(self._fidelity.maximum)

    def advances(self, trials: Mapping[int, Trial], closed: bool) -> Iterator[Advance]:
        return iter(())

    def _loss(self, value: float) -> float:
        return self._objective.loss(value) if isfinite(value) else inf


class ASHAStopping(Stopping):
    """ASHA by stopping: who is not among the best one in ``eta`` at the highest level that it reached is stopped.

    The stopping variant of Li et al. 2020, as common in practice (Syne Tune, Ray): of n trials measured at the level
    the best ceil(n / eta) run on, and while n < eta all do. Unlike there a trial can be stopped between two levels,
    by better ones that come after it. No number counts as a loss worse than all others, and stops the trial at once.

    ``levels``: ascending resources below the full one.
    """

    def __init__(self, fidelity: Fidelity, objective: Objective, levels: Sequence[int]) -> None:
        super().__init__(fidelity, objective)
        self._levels = tuple(levels)

    def stops(self, trials: Mapping[int, Trial]) -> Iterator[int]:
        judged = [
            (reached[-1], trial)
            for trial in trials.values()
            if trial.state is TrialState.RUNNING and trial.measurements and (reached := self._reached(trial))
        ]
        ranked = {level: self._ranked(trials, level) for level in sorted({level for level, _ in judged})}
        for level, trial in judged:
            value = trial.value_at(level)
            assert value is not None  # what being reached means
            place, n = ranked[level][self._loss(value), trial.index], len(ranked[level])
            if not isfinite(value) or (n >= self._fidelity.eta and place >= -(-n // self._fidelity.eta)):
                yield trial.index

    def _reached(self, trial: Trial) -> list[int]:
        at = {measurement.resource for measurement in trial.measurements}
        return [level for level in self._levels if level in at]

    def _ranked(self, trials: Mapping[int, Trial], level: int) -> dict[tuple[float, int], int]:
        """The place of each (loss, index) that was measured at ``level``, 0 is the best."""
        found = sorted(
            (self._loss(m.value), trial.index)
            for trial in trials.values()
            for m in trial.measurements
            if m.resource == level
        )
        return {entry: place for place, entry in enumerate(found)}


class MedianStopping(Stopping):
    """The median rule of Vizier (Golovin et al. 2017, "Google Vizier", section 3.2.2).

    A trial that has come to resource r is stopped when its best loss so far is worse than the median, over the
    completed trials, of the mean of what they had measured up to r. ``fidelity.minimum`` is the grace period, and at
    least FEWEST_COMPLETED trials must be completed, without which the first one would be the judge of all others.
    """

    def stops(self, trials: Mapping[int, Trial]) -> Iterator[int]:
        judged = [
            (reached, trial)
            for trial in trials.values()
            if trial.state is TrialState.RUNNING
            and trial.measurements
            and (reached := trial.latest.resource) >= self._fidelity.minimum
        ]
        completed = [trial for trial in trials.values() if trial.state is TrialState.REPORTED and trial.measurements]
        if not judged or len(completed) < FEWEST_COMPLETED:
            return
        curves = self._curves(completed)
        medians = {reached: _median(*curves, reached) for reached in {reached for reached, _ in judged}}
        for reached, trial in judged:
            if min(self._loss(m.value) for m in trial.measurements) > medians[reached]:
                yield trial.index

    def _curves(self, completed: Sequence[Trial]) -> tuple[IntArray, IntArray, FloatArray]:
        """(trial's number, resource, loss) of all measurements, each (m,)."""
        rows = [
            (number, m.resource, self._loss(m.value))
            for number, trial in enumerate(completed)
            for m in trial.measurements
        ]
        numbers, resources, losses = zip(*rows, strict=True)
        return np.array(numbers), np.array(resources), np.array(losses)


def _median(numbers: IntArray, resources: IntArray, losses: FloatArray, reached: int) -> float:
    """Over the trials with a measurement up to ``reached``; infinite when there are none: no reason to stop."""
    early = resources <= reached
    counts = np.bincount(numbers[early])
    sums = np.bincount(numbers[early], weights=losses[early])
    return float(np.median(sums[counts > 0] / counts[counts > 0])) if early.any() else inf
