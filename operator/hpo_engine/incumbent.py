"""The best trial so far, and the one rule for values that are no numbers.

Trials trained for longer are better for a reason that is not theirs, so trials are compared at one resource only: the
highest that any trial reached. Ties go to the lowest index. A NaN or an infinite value is worse than every number,
in whatever direction the study optimises, and never makes an incumbent. Where the study has constraints, only what was
measured with all of them fulfilled counts. A trial that failed is none either, even when it reported at a lower
resource: its configuration cannot be trained. What a trial measured on its first way to a rung is compared once another
trial has ended there: until then it is only further than the others, and not better.
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
    sign, top = study.objective.loss(1.0), -1
    best: dict[int, tuple[float, int, Trial]] = {}
    free = not study.constraints
    for trial in trials:
        if trial.state is not TrialState.FAILED:
            ended = trial.state is not TrialState.RUNNING or trial.rung > 0
            for m in trial.measurements:
                if math.isfinite(m.value) and (free or study.fulfils(m)):
                    if ended and m.resource > top:
                        top = m.resource
                    loss, kept = sign * m.value, best.get(m.resource)
                    if kept is None or (loss, trial.index) < kept[:2]:
                        best[m.resource] = (loss, trial.index, trial)
    return best[top][2] if top >= 0 else None


def ranked(study: Study, trials: Collection[Trial]) -> tuple[list[Trial], int]:
    """The trials that the incumbent is compared with, itself the first, and the resource at which: its highest.

    No trials and 0 while there is no incumbent.
    """
    best = incumbent(study, trials)
    if best is None:
        return [], 0
    top = max(m.resource for m in best.measurements)

    def feasible(trial: Trial) -> bool:
        return all(study.fulfils(m) for m in trial.measurements if m.resource == top)

    losses = {
        trial.index: loss
        for trial in trials
        if trial.state is not TrialState.FAILED
        and feasible(trial)
        and (loss := loss_at(study.objective, trial, top)) is not None
        and math.isfinite(loss)
    }
    return sorted((t for t in trials if t.index in losses), key=lambda t: (losses[t.index], t.index)), top
