"""The study's status, folded from its trials from scratch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hpo_engine.trial import Trial
from hpo_operator.api.errors import SpecError
from hpo_operator.api.study import Study, StudySpec
from hpo_operator.api.study_status import BestTrial, StudyStatus, TrialCounts
from hpo_operator.api.trial import TrialStatus
from hpo_operator.manifests import names
from hpo_operator.reconcile import clock
from hpo_operator.reconcile.conditions import condition
from hpo_operator.reconcile.trial_status import ENDED


@dataclass(frozen=True)
class Ending:
    """Why a study ends. ``abrupt``: what still runs is stopped."""

    reason: str
    message: str
    success: bool
    abrupt: bool = True


def algorithm_name(spec: StudySpec) -> str:
    scheduler = spec.algorithm.scheduler.type
    return spec.algorithm.sampler.type + ("" if scheduler == "None" else f" + {scheduler}")


def changed_sections(study: Study) -> list[str]:
    """Sections that differ from those the study was accepted with."""
    accepted = study.status.spec_digests
    return [name for name, digest in study.spec.digests.items() if accepted.get(name, digest) != digest]


def counts(statuses: Sequence[TrialStatus]) -> TrialCounts:
    phases = Counter(status.phase for status in statuses)
    return TrialCounts(
        total=len(statuses),
        pending=phases["Pending"],
        running=phases["Running"],
        waiting=phases["Waiting"],
        succeeded=phases["Succeeded"],
        failed=phases["Failed"],
        stopped=phases["Stopped"],
    )


def best_trial(study: Study, best: Trial | None, texts: Mapping[int, Mapping[str, str]]) -> BestTrial | None:
    """The engine's incumbent in the API's words; ``texts``: parameters by trial index."""
    if best is None:
        return None
    shown = float(f"{best.latest.value:.6g}")  # for people; the trial holds it exactly
    return BestTrial(
        trial=names.trial_name(study.name, best.index),
        index=best.index,
        value=shown,
        resource=best.latest.resource,
        parameters=dict(texts[best.index]),
    )


def suspended_seconds(study: Study, now: datetime) -> float:
    """How long the study has stood still until now."""
    status = study.status
    return status.suspended_seconds + clock.seconds_between(status.suspend_time, clock.to_text(now))


def folded_status(
    study: Study,
    statuses: Sequence[TrialStatus],
    best: BestTrial | None,
    ending: Ending | None,
    hold: Ending | None,
    gpu_hours: float,
    now: datetime,
) -> StudyStatus:
    """``ending``: the study has ended so; ``hold``: it cannot go on for this reason, but has not ended."""
    number = counts(statuses)
    old, at = study.status, clock.to_text(now)
    ended, suspended = ending is not None, ending is None and study.spec.suspend
    holding = sum(status.pod is not None and status.phase in ("Pending", "Running") for status in statuses)
    reason, message = _progress(statuses, number, ending or hold)
    if suspended and hold is None:
        reason, message = _suspension(number, holding)
    phase: Literal["Succeeded", "Failed", "Suspended", "Running"] = (
        "Suspended" if suspended else "Running" if ending is None else "Succeeded" if ending.success else "Failed"
    )
    rows: tuple[tuple[str, Literal["True", "False", "Unknown"], str, str], ...] = (
        ("Accepted", "True", "SpecValid", "the study was understood"),
        ("Progressing", "False" if ended or hold or suspended else "True", reason, message),
        ("Suspended", "True" if suspended and not holding else "False", reason, message),
        ("Finished", "True" if ended else "False", reason, message),
        ("Succeeded", "Unknown" if ending is None else "True" if ending.success else "False", reason, message),
    )
    return StudyStatus(
        observed_generation=study.generation,
        phase=phase,
        reason=reason,
        message=message,
        algorithm=algorithm_name(study.spec),
        progress=f"{sum(status.phase in ENDED for status in statuses)}/{study.spec.budget.trials}",
        trials=number,
        best=best,
        selector=f"{names.STUDY_LABEL}={study.name}",
        gpu_hours=round(gpu_hours, 2),
        start_time=old.start_time or at,
        suspend_time=(old.suspend_time or at) if suspended else None,
        suspended_seconds=old.suspended_seconds if suspended else suspended_seconds(study, now),
        completion_time=(old.completion_time or at) if ended else None,
        spec_digests=study.spec.digests,
        conditions=[condition(old.conditions, *row, study.generation, at) for row in rows],
    )


GPU_GROWTH = 1.05


def is_gpu_time_alone(old: StudyStatus, new: StudyStatus) -> bool:
    """Whether only the GPU time has grown, by too little to be worth a write: it grows all the time."""
    return old == new.model_copy(update={"gpu_hours": old.gpu_hours}) and new.gpu_hours < GPU_GROWTH * old.gpu_hours


def can_wait(old: StudyStatus, new: StudyStatus) -> bool:
    """Whether a study that was accepted goes on as before, so that the numbers of its trials are all that is new."""
    kept = ("phase", "observed_generation", "start_time", "completion_time", "spec_digests", "suspended_seconds")
    before, after = ({c.type: c.status for c in status.conditions} for status in (old, new))
    return bool(before) and before == after and all(getattr(old, name) == getattr(new, name) for name in kept)


def refused_status(
    old: StudyStatus, generation: int, reason: str, errors: Sequence[SpecError], now: datetime
) -> StudyStatus:
    """The status of a study whose spec cannot be used: what was known of its trials stays."""
    message = "; ".join(str(error) for error in errors)[:4096]
    at = clock.to_text(now)
    rows: tuple[tuple[str, Literal["True", "False", "Unknown"]], ...] = (
        ("Accepted", "False"),
        ("Progressing", "False"),
        ("Suspended", "True" if old.suspend_time else "False"),
        ("Finished", "False"),
        ("Succeeded", "False"),
    )
    return old.model_copy(
        update={
            "observed_generation": generation,
            "phase": "Invalid",
            "reason": reason,
            "message": message,
            "conditions": [
                condition(old.conditions, kind, status, reason, message, generation, at) for kind, status in rows
            ],
        }
    )


def _suspension(number: TrialCounts, holding: int) -> tuple[str, str]:
    """``holding``: trials whose Pods have not ended yet."""
    if holding:
        return "Suspending", f"{holding} trials write their checkpoints"
    return "Suspended", f"{number.pending} trials go on from their checkpoints when spec.suspend is false again"


def _progress(statuses: Sequence[TrialStatus], number: TrialCounts, ending: Ending | None) -> tuple[str, str]:
    if ending is not None:
        return ending.reason, ending.message
    if number.pending and not number.running:
        stuck = next(status for status in statuses if status.phase == "Pending")
        return stuck.reason, stuck.message or f"{number.pending} trials wait for their Pods"
    return "TrialsRunning", f"{number.running} running, {number.pending} pending, {number.waiting} waiting at a rung"
