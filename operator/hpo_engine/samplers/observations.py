"""What a model may learn from: the outcomes at one resource, and the trials that have none.

With a fidelity a model is fitted to the measurements at one resource, the highest at which enough trials were
measured (the rule of Falkner et al. 2018, "BOHB", section 3.2): few long runs tell less than many short ones, until
they are no longer few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpo_engine.acquisition.pending import condemns
from hpo_engine.incumbent import loss_at
from hpo_engine.parameters import FloatArray
from hpo_engine.samplers.base import History
from hpo_engine.space import Space
from hpo_engine.study import Study
from hpo_engine.trial import Trial, TrialState


@dataclass(frozen=True)
class Observations:
    """Outcomes at ``resource``, in the order of the trials' indices.

    ``X`` (n, d) encodings and ``losses`` (n,), all finite; ``condemned`` (m, d): encodings of the trials that failed
    because of their configuration, or measured no number.
    """

    resource: int
    X: FloatArray
    losses: FloatArray
    condemned: FloatArray


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
            if np.isfinite(measurement.value):
                counts[measurement.resource] = counts.get(measurement.resource, 0) + 1
    return max((resource for resource, count in counts.items() if count >= enough), default=None)


def observe(study: Study, history: History, resource: int) -> Observations:
    measured, losses, condemned = [], [], []
    for trial in history.members:
        loss = loss_at(study.objective, trial, resource)
        if loss is not None and np.isfinite(loss):
            measured.append(trial)
            losses.append(loss)
        elif condemns(trial) or loss is not None:
            condemned.append(trial)
    return Observations(resource, encoded(study.space, measured), np.array(losses), encoded(study.space, condemned))


def unresolved(study: Study, history: History, pending: Sequence[Trial], resource: int) -> FloatArray:
    """Encodings (p, d) of all running trials without an outcome at ``resource``, in the order of their indices."""
    running = [
        trial for trial in history.members if trial.state is TrialState.RUNNING and trial.value_at(resource) is None
    ]
    return encoded(study.space, sorted([*running, *pending], key=lambda trial: trial.index))


def encoded(space: Space, trials: Sequence[Trial]) -> FloatArray:
    """Encodings (n, d) of the trials' parameters."""
    return np.array([space.encode(trial.parameters) for trial in trials]).reshape(len(trials), space.dimension)
