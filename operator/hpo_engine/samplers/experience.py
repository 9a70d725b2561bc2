"""What the trials tell besides their objective: which could not be trained, what they cost, what else they measured."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.linalg import LinAlgError

from hpo_engine.acquisition.pending import condemns
from hpo_engine.memory import Memory
from hpo_engine.samplers.base import History
from hpo_engine.study import Study
from hpo_engine.surrogate.cost import CostModel, fit_cost
from hpo_engine.surrogate.feasibility import Feasibility, Outcomes, fit_feasibility
from hpo_engine.surrogate.trend import Features
from hpo_engine.trial import Trial, TrialState

OUT_OF_MEMORY = "OutOfMemory"
DIVERGED = "Diverged"
"""Also what is said of trials that went to their end and measured no number."""


def feasibility_models(study: Study, history: History, memory: Memory) -> tuple[Feasibility, ...]:
    """One model for each reason that trials failed for, in the order of the names; none while nothing failed.

    A model that cannot be made is left out: a search without it only fails more often.
    """
    models = []
    for reason, seen in outcomes(study, history).items():
        arguments = (seen.failed.tobytes(), seen.trained.tobytes(), seen.used.tobytes())

        def fit(seen: Outcomes = seen) -> Feasibility | None:
            try:
                return fit_feasibility(Features(study.space), seen)
            except LinAlgError:
                return None

        model = memory.recall(f"feasibility:{reason}", arguments, fit)
        if model is not None:
            models.append(model)
    return tuple(models)


def outcomes(study: Study, history: History) -> Mapping[str, Outcomes]:
    """By reason: who failed for it, who was trained, and the memory that these used where memory is the reason."""
    reasons = [why_infeasible(trial) for trial in history.members]
    if not any(reasons):
        return {}
    measured = [any(math.isfinite(m.value) for m in trial.measurements) for trial in history.members]
    trained = [i for i, reason in enumerate(reasons) if reason is None and measured[i]]
    used, unknown = np.array([_peak(history.members[i]) for i in trained]), np.full(len(trained), np.nan)
    X = history.encodings
    return {
        reason: Outcomes(
            X[[i for i, why in enumerate(reasons) if why == reason]],
            X[trained],
            used if reason == OUT_OF_MEMORY else unknown,
        )
        for reason in sorted({why for why in reasons if why is not None})
    }


def why_infeasible(trial: Trial) -> str | None:
    """The reason why this configuration cannot be trained; None if it can, or if nobody knows yet."""
    if condemns(trial):
        return trial.failure or "Error"
    diverged = any(not math.isfinite(m.value) for m in trial.measurements)
    return DIVERGED if diverged and trial.state is not TrialState.FAILED else None


def _peak(trial: Trial) -> float:
    known = [m.memory for m in trial.measurements if m.memory is not None and m.memory > 0]
    return max(known, default=np.nan)


def cost_model(study: Study, history: History, memory: Memory) -> CostModel | None:
    """Seconds per unit of resource, or per trial where there is no fidelity; None before the first measurement."""
    costs = [seconds_per_unit(trial) for trial in history.members]
    timed = [i for i, cost in enumerate(costs) if cost is not None]
    if not timed:
        return None
    X, seconds = history.encodings[timed], np.array([cost for cost in costs if cost is not None])

    def fit() -> CostModel | None:
        try:
            return fit_cost(Features(study.space), X, seconds)
        except LinAlgError:
            return None

    return memory.recall("cost", (X.tobytes(), seconds.tobytes()), fit)


def seconds_per_unit(trial: Trial) -> float | None:
    """From all rungs whose time is known; None if there is no such rung."""
    seconds, units, before = 0.0, 0, 0
    for m in sorted(trial.measurements, key=lambda m: m.resource):
        if m.seconds is not None and m.seconds > 0:
            seconds, units = seconds + m.seconds, units + max(m.resource - before, 1)
            before = m.resource
    return seconds / units if units else None
