"""The history of a study as an earlier decision saw it, from the numbers that ``record`` left in the trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hpo_engine.trial import Trial, TrialState
from hpo_operator.api import engine_study
from hpo_operator.api.study import StudySpec
from hpo_operator.api.trial import HpoTrial, Step
from hpo_operator.reconcile.record import observed_by
from hpo_operator.reconcile.trial_state import TrialView, engine_trial


class History:
    """Walks through the decisions of a study, ascending. ``watched``: with what running trials are judged by."""

    def __init__(self, spec: StudySpec, trials: Sequence[HpoTrial], watched: bool) -> None:
        self._spec, self._trials, self._watched = spec, trials, watched
        self._changes = sorted(
            ((number, i) for i, trial in enumerate(trials) for number in _changes(trial)), reverse=True
        )
        self._now: dict[int, Trial] = {}

    def seen_by(self, decision: int) -> Mapping[int, Trial]:
        """The trials by number as ``decision`` saw them, which is not below that of the last call."""
        changed = set()
        while self._changes and self._changes[-1][0] <= decision:
            changed.add(self._changes.pop()[1])
        for i in changed:
            trial = self._trials[i]
            view = as_of(trial, decision)
            if view is not None:
                parameters = engine_study.from_text(self._spec, trial.spec.parameters)
                self._now[trial.spec.index] = engine_trial(view, parameters, self._watched)
        return self._now


def as_of(trial: HpoTrial, decision: int) -> TrialView | None:
    """The trial as ``decision`` saw it; None: it was not there yet."""
    spec, status = trial.spec, trial.status
    moved = [step for step in spec.steps if step.kind != "Stop" and step.decision < decision]
    if not moved and not _known(status.found_in, decision):
        return None
    rung, resource = (moved[-1].rung, moved[-1].resource) if moved else _first_place(trial)
    measurements = [m for m in status.measurements if _known(m.decision, decision)]
    failure = status.failure if status.failure and _known(status.failure.decision, decision) else None
    if failure is not None:
        state = TrialState.FAILED
    elif any(m.rung == rung for m in measurements):
        state = TrialState.REPORTED
    elif _known(status.stopped_in, decision):
        state = TrialState.STOPPED
    else:
        state = TrialState.RUNNING
    watched = [point for point in status.watched if _known(point.decision, decision)]
    then = status.model_copy(update={"measurements": measurements, "watched": watched, "failure": failure})
    there = spec.model_copy(update={"rung": rung, "resource": resource})
    return TrialView(trial.model_copy(update={"spec": there, "status": then}), state)


def _first_place(trial: HpoTrial) -> tuple[int, int]:
    """Rung and resource of a trial that no step started, before its first recorded promotion."""
    promoted: Step | None = next((step for step in trial.spec.steps if step.kind == "Promote"), None)
    if promoted is None:
        return trial.spec.rung, trial.spec.resource
    rung = promoted.rung - 1
    return rung, next((m.resource for m in trial.status.measurements if m.rung == rung), 0)


def _known(number: int | None, decision: int) -> bool:
    return number is not None and number <= decision


def _changes(trial: HpoTrial) -> Iterator[int]:
    """The decisions from which on the trial looks different."""
    yield from (step.decision + 1 for step in trial.spec.steps)
    yield from observed_by(trial.status)
