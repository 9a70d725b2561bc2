"""The best trial so far, and the one rule for values that are no numbers.

Trials trained for longer are better for a reason that is not theirs, so trials are compared at one resource only: the
highest that any trial reached. Ties go to the lowest index. A NaN or an infinite value is worse than every number,
in whatever direction the study optimises, and never makes an incumbent. A trial that failed is none either, even when
it reported at a lower resource: its configuration cannot be trained.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from hpo_engine.study import Objective, Study
from hpo_engine.trial import Trial, TrialState


def loss_at(objective: Objective, trial: Trial, resource: int) -> float | None:
    """What to minimise, at exactly ``resource``; infinity for a value that is no finite number, None: not measured."""
    value = trial.value_at(resource)
    if value is None:
        return None
    return objective.loss(value) if math.isfinite(value) else math.inf


def incumbent(study: Study, trials: Collection[Trial]) -> Trial | None:
    """The trial with the best value at the highest resource that has one; None before the first finite value."""
    usable = [trial for trial in trials if trial.state is not TrialState.FAILED]
    reached = {m.resource for trial in usable for m in trial.measurements if math.isfinite(m.value)}
    if not reached:
        return None
    top = max(reached)
    losses = ((loss_at(study.objective, trial, top), trial) for trial in usable)
    return min(((loss, trial) for loss, trial in losses if loss is not None), key=lambda p: (p[0], p[1].index))[1]
