"""Two things wanted at once: the objective beside the second one, or else beside the time that training takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpo_engine.analysis.pareto import Goal, pareto_front
from hpo_engine.incumbent import ranked
from hpo_engine.trial import Trial
from hpo_operator.report.stored_study import StoredStudy

SECONDS = "seconds"


@dataclass(frozen=True)
class TradeOff:
    """``points``: (objective, other) by the index of each trial that has both at ``resource``; ``front``: ascending."""

    resource: int
    other: Goal
    points: Mapping[int, tuple[float, float]]
    front: tuple[int, ...]


def trade_off(stored: StoredStudy) -> TradeOff | None:
    """Among the trials that were trained as far as the best, fulfil the constraints and did not fail.

    None: fewer than two of them have both values.
    """
    study = stored.study
    comparable, top = ranked(study, stored.trials)
    second = study.second
    other = Goal(SECONDS, maximize=False) if second is None else Goal(second.metric, second.maximize)
    points = {}
    for trial in comparable:
        values = trial.value_at(top), _other(stored, trial, top)
        if values[0] is not None and values[1] is not None:
            points[trial.index] = (values[0], values[1])
    if len(points) < 2:
        return None
    goals = (Goal("objective", study.objective.maximize), Goal("other", other.maximize))
    named = {index: {"objective": pair[0], "other": pair[1]} for index, pair in points.items()}
    return TradeOff(top, other, points, pareto_front(named, goals))


def _other(stored: StoredStudy, trial: Trial, resource: int) -> float | None:
    if stored.study.second is None:
        return stored.seconds.get(trial.index)
    metrics = next(m.metrics for m in trial.measurements if m.resource == resource)
    return metrics.get(stored.study.second.metric)
