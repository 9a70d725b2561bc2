"""What a model may learn from: the outcomes at one resource, and the trials that have none.

With a fidelity a model is fitted to the measurements at one resource, the highest at which enough trials were
measured (the rule of Falkner et al. 2018, "BOHB", section 3.2): few long runs tell less than many short ones, until
they are no longer few.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpo_engine.acquisition.pending import condemns
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.samplers.base import History
from hpo_engine.space import Space
from hpo_engine.study import Study
from hpo_engine.trial import Trial, TrialState

ALL_TEACH, GROWTH, LATE = 32, 1.15, 100
"""Hyperparameters are learnt anew after each of the first 32 observations, then at every 15 % more trials, of which one
in 100 may be late."""


@dataclass(frozen=True)
class Observations:
    """Outcomes at ``resource``, in the order of the trials' indices.

    ``X`` (n, d) encodings and ``losses`` (n,), all finite, of the trials with ``indices`` (n,); ``condemned`` (m, d):
    encodings of the trials that failed because of their configuration, or measured no number. ``lessons``: positions
    of the observations that teach hyperparameters, ascending.
    """

    resource: int
    X: FloatArray
    losses: FloatArray
    condemned: FloatArray
    indices: IntArray
    lessons: IntArray


def initial_trials(study: Study) -> int:
    """How many space-filling suggestions come before a model.

    The default d + 2 is enough for the model's priors to do better than chance; at most a third of a small budget.
    """
    if study.sampler.initial_trials is not None:
        return study.sampler.initial_trials
    return min(max(4, min(study.space.dimension + 2, 10)), max(2, study.trials // 3))


def fewest_points(study: Study) -> int:
    """N_min, the least that a model is made of: one more than there are parameters, or the initial trials if fewer."""
    return max(2, min(initial_trials(study), study.space.dimension + 1))


def model_resource(study: Study, history: History, more: int = 0) -> int | None:
    """The highest resource with N_min + ``more`` finite measurements; None when there is none."""
    enough = fewest_points(study) + more
    counts: dict[int, int] = {}
    for trial in history.members:
        for measurement in trial.measurements:
            if math.isfinite(measurement.value):
                counts[measurement.resource] = counts.get(measurement.resource, 0) + 1
    return max((resource for resource, count in counts.items() if count >= enough), default=None)


def observe(study: Study, history: History, resource: int) -> Observations:
    measured, losses, condemned, sign = [], [], [], study.objective.loss(1.0)
    for position, trial in enumerate(history.members):
        loss = next((sign * m.value for m in trial.measurements if m.resource == resource), None)
        if loss is not None and math.isfinite(loss):
            measured.append(position)
            losses.append(loss)
        elif condemns(trial) or loss is not None:
            condemned.append(position)
    X = history.encodings.reshape(len(history.members), study.space.dimension)
    indices = np.array([history.members[position].index for position in measured], dtype=np.int64)
    lessons = _lessons(indices, sorted(t.index for t in history.members if _is_awaited(t, resource)))
    return Observations(resource, X[measured], np.array(losses), X[condemned], indices, lessons)


def _lessons(indices: IntArray, awaited: Sequence[int]) -> IntArray:
    """Positions in ``indices`` of the observations that teach hyperparameters; ``awaited``: indices still without one.

    Few observations all teach. Of many, those of the trials below a stage, so that they stay the same until the next
    stage, GROWTH times as far, and a fit pays for many suggestions. A stage is reached when hardly any trial below it
    is awaited: each that comes late is one more fit. That depends on the history alone, not on when one looks.
    """
    everything = np.arange(len(indices))
    if len(indices) <= ALL_TEACH:
        return everything
    reached = (s for s in _stages(int(indices[-1]) + 1) if bisect_left(awaited, s) <= s // LATE)
    early = everything[indices < next(reached, 0)]
    return early if len(early) >= max(ALL_TEACH, len(indices) // 2) else everything


def _stages(end: int) -> list[int]:
    """ALL_TEACH, and GROWTH times as many each time, not beyond ``end``; descending."""
    stages = [ALL_TEACH]
    while stages[-1] <= end:
        stages.append(math.ceil(stages[-1] * GROWTH))
    return stages[-2::-1]


def _is_awaited(trial: Trial, resource: int) -> bool:
    return trial.state is TrialState.RUNNING and trial.value_at(resource) is None


def unresolved(study: Study, history: History, pending: Sequence[Trial], resource: int) -> FloatArray:
    """Encodings (p, d) of all running trials without an outcome at ``resource``, in the order of their indices."""
    running = [trial for trial in history.members if _is_awaited(trial, resource)]
    return encoded(study.space, sorted([*running, *pending], key=lambda trial: trial.index))


def encoded(space: Space, trials: Sequence[Trial]) -> FloatArray:
    """Encodings (n, d) of the trials' parameters."""
    return np.array([space.encode(trial.parameters) for trial in trials]).reshape(len(trials), space.dimension)
