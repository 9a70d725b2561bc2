"""The order in which a decision's actions are performed, and what they mean to the counters."""

from __future__ import annotations

from typing import Any

from hpo_operator.api.study_status import StudyStatus
from hpo_operator.api.trial import CurvePoint, Measurement, TrialFailure, TrialStatus
from hpo_operator.kube.outcomes import Outcomes
from hpo_operator.kube.stages import in_stages
from hpo_operator.manifests.names import common_labels
from hpo_operator.reconcile.actions import (
    AdoptTrial,
    CreatePod,
    CreateTrial,
    DeletePod,
    PatchTrialSpec,
    PutStudyStatus,
    PutTrialStatus,
    RecordEvent,
)
from hpo_operator.reconcile.snapshot import Snapshot
from hpo_operator.telemetry.metrics import OperatorMetrics

FAILED = RecordEvent("Warning", "TrialFailed", "trial s-0 failed")
BEST = RecordEvent("Normal", "NewIncumbent", "s-1: dice 0.9")
CLEANED = RecordEvent("Normal", "CheckpointsDeleted", "checkpoints of 1 trials (s-0)")
STATUS = PutStudyStatus(StudyStatus())


def trial_status(name: str, **fields: Any) -> PutTrialStatus:
    return PutTrialStatus(name, TrialStatus(**fields))


def pod_of(trial: str | None) -> CreatePod:
    labels = common_labels("s") | ({"hpo.study/trial": trial} if trial else {})
    return CreatePod({"metadata": {"name": f"{trial}-r0-a0" if trial else "s-clean", "labels": labels}})


def test_a_trials_own_actions_keep_their_order_and_the_studys_status_comes_last() -> None:
    stop = PatchTrialSpec("s-1", {"desiredState": "Stopped"})
    put, end, start = trial_status("s-0"), DeletePod("s-1-r0-a0"), CreateTrial({"metadata": {"name": "s-2"}})
    stages = in_stages([FAILED, put, stop, start, end, BEST, STATUS])
    assert stages.known == ((FAILED, put),)
    assert stages.steps == ((stop, end), (start,))
    assert (stages.after, stages.status) == ((), (BEST, STATUS))
    assert stages.work == (FAILED, put, stop, end, start)
    assert stages.people == (BEST, STATUS)


def test_the_cleaning_pod_goes_only_when_its_trials_are_marked() -> None:
    put, gone = trial_status("s-0", checkpoint_deleted=True), DeletePod("s-clean")
    stages = in_stages([CLEANED, gone, put, STATUS])
    assert stages.known == ((put,),)
    assert stages.after == (CLEANED, gone)
    assert in_stages([pod_of(None)]).after == (pod_of(None),)
    assert in_stages([pod_of("s-0")]).steps == ((pod_of("s-0"),),)


def test_an_adoption_is_told_once_it_is_done() -> None:
    adopted = RecordEvent("Normal", "TrialAdopted", "trial s-7, made by hand")
    first, second, put = AdoptTrial("s-7", {}, {}), AdoptTrial("s-8", {}, {}), trial_status("s-9")
    stages = in_stages([first, adopted, second, adopted, FAILED, put])
    assert stages.steps == ((first, adopted), (second, adopted))
    assert stages.known == ((FAILED, put),)
    alone = in_stages([first, adopted, BEST, STATUS])
    assert (alone.steps, alone.status) == (((first, adopted),), (BEST, STATUS))
    assert in_stages([first, STATUS]).status == (STATUS,)


def test_news_of_pods_comes_when_trials_wait_for_nothing() -> None:
    begun, sampled = PutTrialStatus("s-0", TrialStatus(), "News"), PutTrialStatus("s-1", TrialStatus(), "News")
    stages = in_stages([begun, sampled, pod_of("s-1")])
    assert (stages.work, stages.news) == ((pod_of("s-1"),), ((begun,), (sampled,)))


def test_what_people_read_comes_last_and_can_wait() -> None:
    seen = RecordEvent("Warning", "PodRefused", "trial s-0: exceeded quota")
    put, known = PutTrialStatus("s-0", TrialStatus(), "Display"), trial_status("s-1")
    stages = in_stages([seen, put, known, BEST, STATUS])
    assert (stages.known, stages.shown, stages.status) == (((known,),), ((seen, put),), (BEST, STATUS))
    assert stages.work == (known,)
    assert not stages.can_wait
    assert in_stages([put, PutStudyStatus(StudyStatus(), can_wait=True)]).can_wait
    assert in_stages([]).work == ()


def stored(name: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": status}


def counted(snapshot: Snapshot, *actions: Any) -> dict[str, float]:
    """What grew, by the metric's name and the values of its labels."""
    metrics = OperatorMetrics()
    outcomes = Outcomes(metrics, snapshot)
    for action in actions:
        outcomes.count(action)
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.value and sample.name.endswith(("_total", "_sum")) and sample.name.startswith("hpo_")
    }


def test_each_outcome_is_counted_once() -> None:
    measured = Measurement(rung=0, resource=4, value=0.5, source="MetricsEndpoint")
    failure = TrialFailure(reason="Diverged")
    statuses = (
        trial_status("s-0", measurements=[measured]),
        trial_status("s-1", failure=failure),
        trial_status("s-2", interruptions=2),
        trial_status("s-3", phase="Stopped"),
    )
    before = Snapshot({}, (stored("s-2", interruptions=1),))
    name = "hpo_trial_outcomes_total"
    assert counted(before, *statuses) == {
        f"{name} measured MetricsEndpoint": 1,
        f"{name} failed Diverged": 1,
        f"{name} interrupted Interrupted": 1,
        f"{name} stopped Stopped": 1,
    }
    after = Snapshot({}, tuple(stored(put.name, **put.status.dump()) for put in statuses))
    assert counted(after, *statuses) == {}


def test_waiting_is_counted_when_a_pods_start_is_first_stored() -> None:
    put = trial_status("s-0", pod="s-0-r0-a0", pod_start_time="2026-11-21T10:00:07Z")
    pod = {"metadata": {"name": "s-0-r0-a0", "creationTimestamp": "2026-11-21T10:00:00Z"}}
    fresh = Snapshot({}, (stored("s-0", pod="s-0-r0-a0"),), (pod,))
    assert counted(fresh, put) == {"hpo_pod_queue_duration_seconds_sum": 7}
    assert counted(Snapshot({}, (stored("s-0", **put.status.dump()),), (pod,)), put) == {}


def test_what_a_new_pod_need_not_train_again() -> None:
    curve = [CurvePoint(resource=r, value=0.5).dump() for r in (1, 3, 5)]
    measured = [Measurement(rung=0, resource=3, value=0.5, source="TerminationMessage").dump()]
    assert counted(Snapshot({}), pod_of("s-0"), pod_of(None)) == {}
    resumed = Snapshot({}, (stored("s-0", measurements=measured, curve=curve),))
    assert counted(resumed, pod_of("s-0")) == {
        "hpo_resumed_resource_total rung": 3,
        "hpo_resumed_resource_total interruption": 2,
    }
