"""What people are told once, as it happens: the events of a study, for ``kubectl describe``."""

from __future__ import annotations

from collections.abc import Iterator

from hpo_operator.api.study import Study
from hpo_operator.api.study_status import StudyStatus
from hpo_operator.api.trial import TrialStatus
from hpo_operator.reconcile.actions import RecordEvent
from hpo_operator.reconcile.study_status import Ending
from hpo_operator.reconcile.trial_state import TrialView


def of_trial(view: TrialView, before: TrialStatus, status: TrialStatus) -> Iterator[RecordEvent]:
    """Of a trial whose status becomes ``status``."""
    if status.failure is not None and before.failure is None:
        message = f"trial {view.trial.name} failed: {status.failure.reason}: {status.failure.message}"
        yield RecordEvent("Warning", "TrialFailed", message[:1000])
    if view.remark is not None:
        yield RecordEvent("Warning", "PrometheusNotUsed", f"trial {view.trial.name}: {view.remark}"[:1000])
    if view.refusal is not None and before.message != status.message:
        yield RecordEvent("Warning", "PodRefused", f"trial {view.trial.name}: {view.refusal}"[:1000])
    if status.interruptions > before.interruptions:
        yield RecordEvent(
            "Normal", "TrialInterrupted", f"trial {view.trial.name} was interrupted ({status.interruptions})"
        )


def of_study(study: Study, new: StudyStatus, ending: Ending | None, hold: Ending | None) -> Iterator[RecordEvent]:
    """Of a study whose status becomes ``new``. ``ending``: it has ended, by this; ``hold``: why nothing moves."""
    old = study.status
    if not old.conditions or old.phase == "Invalid":
        yield RecordEvent(
            "Normal",
            "Accepted",
            f"{new.algorithm} over {len(study.spec.parameters)} parameters, {study.spec.budget.trials} trials",
        )
    if new.best is not None and (old.best is None or old.best.value != new.best.value):
        yield RecordEvent(
            "Normal", "NewIncumbent", f"{new.best.trial}: {study.spec.objective.metric} {new.best.value:g}"
        )
    moving = not any(c.type == "Progressing" and c.status == "False" for c in old.conditions)
    if hold is not None and (moving or old.reason != hold.reason):
        yield RecordEvent("Warning", hold.reason, hold.message[:1000])
    if new.cleaning and new.cleaning != old.cleaning:
        yield RecordEvent("Warning", "CleaningFailed", new.cleaning)
    if ending is not None and old.completion_time is None:
        yield RecordEvent("Normal" if ending.success else "Warning", ending.reason, ending.message)
