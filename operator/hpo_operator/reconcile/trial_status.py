"""What people read about a trial: phase, reason, message, conditions, times. Programs read the rest of the status."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from hpo_engine.trial import TrialState
from hpo_operator.api.study import StudySpec
from hpo_operator.api.trial import HpoTrial, TrialStatus
from hpo_operator.reconcile import clock
from hpo_operator.reconcile.actions import Haste
from hpo_operator.reconcile.conditions import Status, condition
from hpo_operator.reconcile.pod_facts import PodState
from hpo_operator.reconcile.stalls import why_refused
from hpo_operator.reconcile.trial_state import TrialView

Phase = Literal["Pending", "Running", "Waiting", "Succeeded", "Failed", "Stopped"]
ENDED: tuple[Phase, ...] = ("Succeeded", "Failed", "Stopped")


def trial_status(view: TrialView, spec: StudySpec, study_ended: bool, now: datetime) -> TrialStatus:
    """The whole status of the trial, ready to be stored; the very same one where it says so already."""
    phase, reason, message = _standing(view, spec, study_ended, now)
    old = view.trial.status
    ended = phase in ENDED
    told = (old.phase, old.reason, old.message, old.observed_generation, bool(old.completion_time), len(old.conditions))
    if told == (phase, reason, message[:2048], view.trial.generation, ended, 2):
        return old
    at = clock.to_text(now)
    finished: Status = "True" if ended else "False"
    success: Status = "True" if phase == "Succeeded" else "False" if ended else "Unknown"
    generation = view.trial.generation
    return old.model_copy(
        update={
            "observed_generation": generation,
            "phase": phase,
            "reason": reason,
            "message": message[:2048],
            "completion_time": (old.completion_time or at) if ended else None,
            "conditions": [
                condition(old.conditions, "Finished", finished, reason, message, generation, at),
                condition(old.conditions, "Succeeded", success, reason, message, generation, at),
            ],
        }
    )


FOR_DISPLAY = {"observed_generation", "phase", "reason", "message", "conditions", "pod"}
"""Of a trial that runs. Its Pod is found by the trial's number of attempts; the name is stored to miss it later."""
OF_A_POD = {"start_time", "pod_start_time", "objective", "resource", "sampled_pod", "curve"}
"""What its Pod and its page of metrics tell as long as they are there."""


def haste_of(old: TrialStatus, new: TrialStatus) -> Haste:
    """How soon a trial's new status is to be stored."""
    changed = {name for name in TrialStatus.model_fields if getattr(old, name) != getattr(new, name)}
    if new.phase in ENDED or old.phase in ENDED or not changed <= FOR_DISPLAY | OF_A_POD:
        return "Evidence"
    return "Display" if changed <= FOR_DISPLAY else "News"


def is_promotable(trial: HpoTrial, spec: StudySpec) -> bool:
    """Whether a scheduler may still give a measured trial more of the fidelity."""
    more = spec.fidelity is not None and trial.spec.resource < spec.fidelity.max
    return more and spec.algorithm.scheduler.type != "None"


def _standing(view: TrialView, spec: StudySpec, study_ended: bool, now: datetime) -> tuple[Phase, str, str]:
    status = view.trial.status
    match view.state:
        case TrialState.FAILED:
            assert status.failure is not None  # what FAILED means
            return "Failed", status.failure.reason, status.failure.message
        case TrialState.STOPPED:
            return "Stopped", "Stopped", _stopped(view.trial)
        case TrialState.REPORTED if not is_promotable(view.trial, spec):
            return "Succeeded", "Completed", ""
        case TrialState.REPORTED if study_ended:
            return "Succeeded", "NotPromoted", f"measured at {view.trial.spec.resource} and not promoted"
        case TrialState.REPORTED:
            return "Waiting", "AtRung", f"measured at {view.trial.spec.resource}; waits for the rung to be complete"
        case TrialState.RUNNING:
            return _running(view, now)


def _stopped(trial: HpoTrial) -> str:
    curve = trial.status.curve
    return f"stopped after {curve[-1].resource}" if curve else "stopped before it was measured"


def _running(view: TrialView, now: datetime) -> tuple[Phase, str, str]:
    status = view.trial.status
    if view.refusal is not None:
        refused = why_refused(view.refusal)
        return "Pending", refused.reason, refused.message
    if view.question is not None:
        if view.unanswered is not None:
            return "Running", "PrometheusUnavailable", f"its objective is asked for again: {view.unanswered}"
        return "Running", "QueryingPrometheus", f"trained; the server {view.question.server} is asked for its objective"
    if view.is_training and view.pod is not None:
        if view.pod.state is PodState.TERMINATING and view.stalled_at is not None and now >= view.stalled_at:
            return (
                "Running",
                "TerminationStuck",
                f"its node may be gone; if so: kubectl delete pod --force {view.pod.name}",
            )
        return "Running", view.pod.reason, view.pod.message
    if view.pod is not None:
        return "Pending", view.pod.reason, view.pod.message
    if view.trial.spec.desired_state == "Suspended":
        return "Pending", "Suspended", "holds no Pod while its study is suspended; goes on from its checkpoint"
    if status.pod is None and status.interrupted_at is not None:
        return (
            "Pending",
            "Interrupted",
            f"interrupted {status.interruptions} times; the next attempt goes on from the checkpoint",
        )
    return "Pending", "PodNotSeen", "its Pod is being created"
