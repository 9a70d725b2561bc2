"""The truth table of trials, row by row: what the status says, what the Pod tells, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_engine.trial import TrialState
from hpo_operator.api.parse import parse_study, parse_trial
from hpo_operator.api.trial import MAX_CURVE_POINTS, TrialStatus
from hpo_operator.reconcile.pod_facts import PodState, read_departed_pod, read_pod
from hpo_operator.reconcile.snapshot import Sample, Snapshot
from hpo_operator.reconcile.trial_state import (
    LONGEST_PAUSE_SECONDS,
    MAX_INTERRUPTIONS,
    TrialView,
    engine_trial,
    view_trial,
)
from hpo_operator.reconcile.trial_status import trial_status
from reconcile.objects import NOW, ended, measured, pod, study, trial

Raw = dict[str, Any]
SPEC = parse_study(study()).spec
RUNNING = pod(running={"startedAt": "2026-03-01T11:00:00Z"})
SEEN: Raw = {"pod": "demo-0-r0-a0", "podStartTime": "2026-03-01T11:00:00Z", "startTime": "2026-03-01T11:00:00Z"}
MEASUREMENT: Raw = {"rung": 0, "resource": 3, "value": 0.7, "source": "TerminationMessage"}


def view(
    raw: Raw, *pods: Raw, sample: Sample | None = None, refusal: str | None = None, now: datetime = NOW, gpus: int = 2
) -> TrialView:
    facts = {f.name: f for f in map(read_pod, pods)}
    name = f"{raw['metadata']['name']}-r{raw['spec'].get('rung', 0)}-a{raw.get('status', {}).get('attempt', 0)}"
    snapshot = Snapshot(study(), samples={name: sample} if sample else {}, refusals={name: refusal} if refusal else {})
    return view_trial(parse_trial(raw), SPEC, facts, snapshot, gpus, now)


def stored(raw: Raw, seen: TrialView, now: datetime = NOW) -> Raw:
    """The trial after its new status was written."""
    return raw | {"status": trial_status(seen, SPEC, False, now).dump()}


def after(raw: Raw, *pods: Raw, **given: Any) -> TrialStatus:
    """The status once written, which must be the same when it is judged again."""
    first = view(raw, *pods, **given)
    again = view(stored(raw, first), *pods, **given)
    assert again.state is first.state
    assert trial_status(again, SPEC, False, NOW) == trial_status(first, SPEC, False, NOW)
    return trial_status(first, SPEC, False, NOW)


# --- measured, or failed: nothing that a Pod says counts any more

LATE_PODS: dict[str, tuple[Raw, ...]] = {
    "gone": (),
    "running": (RUNNING,),
    "succeeded": (pod(terminated=ended(0, measured(0.1))),),
    "failed": (pod(terminated=ended(1)),),
    "interrupted": (pod(terminated=ended(75)),),
}


@pytest.mark.parametrize("pods", LATE_PODS.values(), ids=list(LATE_PODS))
@pytest.mark.parametrize("desired", ["Measured", "Stopped"])
def test_a_measured_trial_stays_measured(pods: tuple[Raw, ...], desired: str) -> None:
    raw = trial(status=SEEN | {"measurements": [MEASUREMENT], "gpuSeconds": 5.0}, desiredState=desired)
    seen = view(raw, *pods)
    assert seen.state is TrialState.REPORTED
    assert seen.trial.status.gpu_seconds == 5.0
    assert [m.value for m in seen.trial.status.measurements] == [0.7]


@pytest.mark.parametrize("pods", LATE_PODS.values(), ids=list(LATE_PODS))
@pytest.mark.parametrize("desired", ["Measured", "Stopped"])
def test_a_failed_trial_stays_failed(pods: tuple[Raw, ...], desired: str) -> None:
    raw = trial(status=SEEN | {"failure": {"reason": "Diverged"}, "gpuSeconds": 5.0}, desiredState=desired)
    seen = view(raw, *pods)
    assert seen.state is TrialState.FAILED
    assert seen.trial.status.gpu_seconds == 5.0
    assert seen.pod_due is None


def test_a_measurement_of_an_earlier_rung_is_not_one_of_this() -> None:
    seen = view(trial(status=SEEN | {"measurements": [MEASUREMENT]}, rung=1, resource=9))
    assert seen.state is TrialState.RUNNING
    assert seen.pod_due == NOW


# --- no Pod


def test_a_new_trial_gets_its_pod_at_once() -> None:
    seen = view(trial())
    assert (seen.state, seen.pod, seen.pod_due) == (TrialState.RUNNING, None, NOW)


def test_a_pod_that_was_seen_and_is_gone_was_deleted() -> None:
    status = after(trial(status=SEEN))
    assert (status.attempt, status.interruptions, status.pod) == (1, 1, None)
    assert (status.phase, status.reason) == ("Pending", "Interrupted")
    assert status.gpu_seconds == 2 * 3600


DEPARTED: dict[str, tuple[Raw, TrialState, int, float]] = {  # as last seen: state, attempt, GPU seconds
    "while it waited": (pod(phase="Pending", waiting={"reason": "PodInitializing"}), TrialState.RUNNING, 1, 0.0),
    "while it ran": (RUNNING, TrialState.RUNNING, 1, 7200.0),
    "while it ended": (RUNNING | {"metadata": pod(deleting=True)["metadata"]}, TrialState.RUNNING, 1, 7200.0),
    "interrupted": (pod(terminated=ended(75)), TrialState.RUNNING, 1, 7200.0),
    "measured": (pod(terminated=ended(0, measured(0.9))), TrialState.REPORTED, 0, 7200.0),
    "failed": (pod(terminated=ended(80)), TrialState.FAILED, 0, 7200.0),
}


@pytest.mark.parametrize(("last", "state", "attempt", "seconds"), DEPARTED.values(), ids=list(DEPARTED))
def test_a_pod_that_is_gone_counts_as_it_was_last_seen(
    last: Raw, state: TrialState, attempt: int, seconds: float
) -> None:
    facts = read_departed_pod(last)
    seen = view_trial(parse_trial(trial()), SPEC, {facts.name: facts}, Snapshot(study()), 2, NOW)
    assert seen.state is state
    assert seen.trial.status.attempt == attempt
    assert seen.trial.status.interruptions == attempt
    assert seen.trial.status.gpu_seconds == seconds


def test_a_pod_that_nobody_has_seen_is_asked_for_again_under_its_name() -> None:
    seen = view(trial(status={"attempt": 3, "interruptions": 3, "interruptedAt": "2026-03-01T10:00:00Z"}))
    assert seen.trial.status.attempt == 3
    assert seen.pod_due is not None
    assert seen.pod_due <= NOW


def test_a_refused_pod_says_so_and_is_still_due() -> None:
    status = after(trial(), refusal="exceeded quota: gpus")
    assert (status.phase, status.reason) == ("Pending", "QuotaExceeded")
    assert "exceeded quota: gpus" in status.message
    assert view(trial(), refusal="exceeded quota: gpus").pod_due == NOW


# --- a Pod that has not ended


def test_a_waiting_pod_says_what_it_waits_for() -> None:
    status = after(trial(), pod(phase="Pending", waiting={"reason": "ImagePullBackOff", "message": "no such image"}))
    assert (status.phase, status.reason) == ("Pending", "ImagePullFailed")
    assert "no such image" in status.message
    assert (status.pod, status.pod_start_time, status.start_time) == ("demo-0-r0-a0", None, None)


def test_a_running_pod_is_noted_with_its_start() -> None:
    status = after(trial(), RUNNING)
    assert (status.phase, status.reason) == ("Running", "Training")
    assert status.pod_start_time == status.start_time == "2026-03-01T11:00:00Z"


def test_a_later_attempt_keeps_the_trials_start() -> None:
    status = after(
        trial(status={"attempt": 1, "startTime": "2026-03-01T09:00:00Z"}),
        pod("demo-0-r0-a1", running={"startedAt": "2026-03-01T11:00:00Z"}),
    )
    assert (status.start_time, status.pod_start_time) == ("2026-03-01T09:00:00Z", "2026-03-01T11:00:00Z")


def test_a_sample_is_the_latest_objective_and_a_point_of_the_curve() -> None:
    status = after(trial(resource=9), RUNNING, sample=Sample(0.4, 2))
    assert (status.objective, status.resource, status.sampled_pod) == (0.4, 2, "demo-0-r0-a0")
    assert [(p.resource, p.value) for p in status.curve] == [(2, 0.4)]


def test_a_sample_of_an_earlier_resource_takes_back_the_curve_behind_it() -> None:
    curve = [{"resource": r, "value": 0.1 * r} for r in (1, 2, 3)]
    status = after(trial(status=SEEN | {"curve": curve}), RUNNING, sample=Sample(0.25, 2))
    assert [(p.resource, p.value) for p in status.curve] == [(1, 0.1), (2, 0.25)]


def test_a_page_without_a_resource_has_no_curve() -> None:
    status = after(trial(), RUNNING, sample=Sample(0.4))
    assert (status.objective, status.curve) == (0.4, [])


def test_a_sample_brings_the_points_since_the_last_one() -> None:
    raw = stored(trial(resource=9), view(trial(resource=9), RUNNING, sample=Sample(0.1, 1)))
    status = after(raw, RUNNING, sample=Sample(0.5, 5, ((1, 9.9), (2, 0.2), (3, 0.3), (4, 0.4))))
    assert [(p.resource, p.value) for p in status.curve] == [(r, r / 10) for r in range(1, 6)]


def test_what_is_watched_stays_as_it_was_first_seen_and_a_decision_settles() -> None:
    """Whatever the samples: a second look at the same one changes nothing, or the operator would never rest."""
    levels = (1, 3, 9, 27, 81, 243, 729)
    raw = trial(resource=1000)
    for end in (40, 41, 200, 640, 1000):
        sample = Sample(end / 10, end, tuple((r, r / 10) for r in range(max(1, end - 500), end)))
        for _ in range(2):
            snapshot = Snapshot(study(), samples={"demo-0-r0-a0": sample})
            seen = view_trial(parse_trial(raw), SPEC, {"demo-0-r0-a0": read_pod(RUNNING)}, snapshot, 1, NOW, levels)
            first, raw = raw, stored(raw, seen)
        assert raw == first
        status = parse_trial(raw).status
        assert len(status.curve) <= MAX_CURVE_POINTS
        assert {p.resource: p.value for p in status.watched} == {r: r / 10 for r in levels if r <= end}
    again = Snapshot(study(), samples={"demo-0-r0-a0": Sample(-1.0, 27)})  # a later attempt, from its checkpoint
    seen = view_trial(parse_trial(raw), SPEC, {"demo-0-r0-a0": read_pod(RUNNING)}, again, 1, NOW, levels)
    assert (seen.trial.status.objective, seen.trial.status.watched) == (-1.0, status.watched)


def test_a_level_that_was_passed_unseen_is_watched_at_the_next_point() -> None:
    sample = Sample(0.7, 7, ((2, 0.2), (4, 0.4), (5, 0.5)))
    snapshot = Snapshot(study(), samples={"demo-0-r0-a0": sample})
    pods = {"demo-0-r0-a0": read_pod(RUNNING)}
    seen = view_trial(parse_trial(trial(resource=9)), SPEC, pods, snapshot, 1, NOW, levels=(3, 6, 9))
    assert [(p.resource, p.value) for p in seen.trial.status.watched] == [(4, 0.4), (7, 0.7)]


@pytest.mark.parametrize("watched", [False, True])
def test_the_engine_is_told_of_running_trials_only_where_they_are_watched(watched: bool) -> None:
    points = [{"resource": r, "value": 0.1 * r} for r in (1, 2, 3, 4)]
    seen = view(trial(status=SEEN | {"measurements": [MEASUREMENT], "watched": points}, rung=1, resource=9), RUNNING)
    measured_at = [m.resource for m in engine_trial(seen, {}, watched).measurements]
    assert measured_at == ([1, 2, 4, 3] if watched else [3])


@given(st.lists(st.integers(1, 10**6), max_size=300))
def test_the_curve_is_bounded_ascending_and_ends_with_the_latest_sample(resources: list[int]) -> None:
    raw = trial(resource=10**6)
    for resource in resources:
        raw = stored(raw, view(raw, RUNNING, sample=Sample(float(resource), resource)))
    curve = parse_trial(raw).status.curve
    points = [p.resource for p in curve]
    assert len(points) <= MAX_CURVE_POINTS
    assert points == sorted(set(points))
    assert all(p.value == p.resource for p in curve)
    assert points[-1:] == resources[-1:]


def test_a_long_curve_keeps_points_from_all_along() -> None:
    raw = trial(resource=1000)
    for resource in range(1, 1001):
        raw = stored(raw, view(raw, RUNNING, sample=Sample(0.5, resource)))
    points = [p.resource for p in parse_trial(raw).status.curve]
    assert points[0] == 1
    assert max(b - a for a, b in pairwise(points)) <= 64
    assert points[-1] == 1000


# --- exit 0


def test_the_final_message_is_the_measurement() -> None:
    status = after(trial(resource=9), pod(terminated=ended(0, measured(0.9))), sample=Sample(0.5, 4))
    [measurement] = status.measurements
    assert (measurement.value, measurement.source, measurement.seconds) == (0.9, "TerminationMessage", 12.5)
    assert (measurement.rung, measurement.resource) == (0, 9)
    assert (status.phase, status.objective, status.resource, status.sampled_pod) == ("Succeeded", 0.9, 9, None)
    assert [p.resource for p in status.curve] == [4, 9]


def test_the_rungs_resource_counts_whatever_the_trainer_says_it_reached() -> None:
    status = after(trial(resource=27), pod(terminated=ended(0, measured(0.9))))  # which says 9
    assert status.measurements[0].resource == 27


def test_without_a_final_message_the_last_sample_counts() -> None:
    raw = stored(trial(resource=9), view(trial(resource=9), RUNNING, sample=Sample(0.6, 8)))
    status = after(raw, pod(terminated=ended(0)))
    [measurement] = status.measurements
    assert (measurement.value, measurement.source, measurement.seconds) == (0.6, "MetricsEndpoint", 3600)


def test_a_sample_that_is_read_in_the_moment_of_the_end_counts() -> None:
    raw = stored(trial(resource=9), view(trial(resource=9), RUNNING, sample=Sample(0.6, 8)))
    [measurement] = after(raw, pod(terminated=ended(0)), sample=Sample(0.7, 9)).measurements
    assert (measurement.value, measurement.source) == (0.7, "MetricsEndpoint")


def test_a_sample_of_an_earlier_attempt_does_not_count() -> None:
    raw = trial(status={"attempt": 1, "objective": 0.6, "sampledPod": "demo-0-r0-a0", "pod": "demo-0-r0-a1"})
    status = after(raw, pod("demo-0-r0-a1", terminated=ended(0)))
    assert status.failure is not None
    assert status.failure.reason == "MetricMissing"
    assert "neither its termination message nor its /metrics held 'dice'" in status.failure.message


def test_a_sample_of_an_earlier_rung_does_not_count() -> None:
    status = SEEN | {"measurements": [MEASUREMENT], "objective": 0.7, "resource": 3}
    after_rung = after(trial(status=status, rung=1, resource=9), pod("demo-0-r1-a0", terminated=ended(0)))
    assert after_rung.failure is not None
    assert after_rung.failure.reason == "MetricMissing"


def test_a_final_message_that_cannot_be_used_is_a_failure_though_there_is_a_sample() -> None:
    raw = stored(trial(), view(trial(), RUNNING, sample=Sample(0.6, 8)))
    status = after(raw, pod(terminated=ended(0, measured("NaN"))))
    assert status.failure is not None
    assert status.failure.reason == "InvalidMeasurement"
    assert status.failure.exit_code == 0


def test_a_second_rung_is_measured_beside_the_first() -> None:
    raw = trial(status=SEEN | {"measurements": [MEASUREMENT]}, rung=1, resource=9)
    status = after(raw, pod("demo-0-r1-a0", terminated=ended(0, measured(0.8))))
    assert [(m.rung, m.resource, m.value) for m in status.measurements] == [(0, 3, 0.7), (1, 9, 0.8)]


# --- interruptions


def test_an_interruption_is_no_failure_and_the_next_attempt_comes_after_a_pause() -> None:
    recent = ended(75) | {"startedAt": "2026-03-01T11:59:58Z", "finishedAt": "2026-03-01T11:59:59Z"}
    raw = trial(status={"attempt": 2, "interruptions": 2})
    seen = view(raw, pod("demo-0-r0-a2", terminated=recent))
    status = seen.trial.status
    assert (status.attempt, status.interruptions, status.failure) == (3, 3, None)
    assert status.interrupted_at == "2026-03-01T11:59:59Z"
    assert seen.pod_due == datetime(2026, 3, 1, 12, 0, 2, tzinfo=UTC)  # four seconds after it began


@pytest.mark.parametrize(
    ("number", "pause"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, LONGEST_PAUSE_SECONDS), (50, 300)]
)
def test_pauses_double(number: int, pause: int) -> None:
    """Of Pods that never ran, from when they were lost."""
    raw = trial(status={"attempt": number - 1, "interruptions": number - 1, "pod": f"demo-0-r0-a{number - 1}"})
    first = view(raw)
    assert first.pod_due == NOW + timedelta(seconds=pause)
    later = view(stored(raw, first), now=NOW + timedelta(seconds=1000))
    assert later.pod_due == first.pod_due  # it does not move while time goes on


def test_a_pod_that_lived_longer_than_the_pause_is_followed_at_once() -> None:
    raw = trial(status={"attempt": 5, "interruptions": 5})
    seen = view(raw, pod("demo-0-r0-a5", terminated=ended(75)))  # it ran for an hour
    assert seen.pod_due is not None
    assert seen.pod_due <= NOW


def test_a_promotion_does_not_wait_for_the_pause_of_an_earlier_interruption() -> None:
    status = {
        "attempt": 9,
        "interruptions": 9,
        "interruptedAt": "2026-03-01T11:59:59Z",
        "pod": "demo-0-r0-a9",
        "measurements": [MEASUREMENT],
    }
    seen = view(trial(status=status, rung=1, resource=9))
    assert seen.pod_due == NOW
    assert trial_status(seen, SPEC, False, NOW).reason == "PodNotSeen"


def test_too_many_interruptions_are_a_failure() -> None:
    raw = trial(status={"attempt": MAX_INTERRUPTIONS, "interruptions": MAX_INTERRUPTIONS})
    name = f"demo-0-r0-a{MAX_INTERRUPTIONS}"
    status = after(raw, pod(name, terminated=ended(137), reason="Evicted"))
    assert status.failure is not None
    assert status.failure.reason == "TooManyInterruptions"
    assert status.failure.message == f"interrupted {MAX_INTERRUPTIONS + 1} times, the last time by Evicted"
    assert status.phase == "Failed"


def test_the_last_allowed_interruption_is_none() -> None:
    raw = trial(status={"attempt": MAX_INTERRUPTIONS - 1, "interruptions": MAX_INTERRUPTIONS - 1})
    assert view(raw, pod(f"demo-0-r0-a{MAX_INTERRUPTIONS - 1}", terminated=ended(75))).state is TrialState.RUNNING


# --- failures


@pytest.mark.parametrize(
    ("terminated", "reason", "message"),
    [
        (ended(65), "BadData", "the container gave no reason; see its log"),
        (
            ended(80, '{"hpo": "failure", "reason": "OutOfMemory", "message": "at batch 64"}'),
            "OutOfMemory",
            "at batch 64",
        ),
        (ended(1, "Traceback\n  File\nValueError: no images\n\n"), "Error", "ValueError: no images"),
        (ended(137, reason="OOMKilled"), "OutOfMemory", "the container gave no reason; see its log"),
    ],
)
def test_a_failure_says_why(terminated: Raw, reason: str, message: str) -> None:
    status = after(trial(), pod(phase="Failed", terminated=terminated))
    assert status.failure is not None
    assert (status.failure.reason, status.failure.message) == (reason, message)
    assert status.failure.exit_code == terminated["exitCode"]
    assert (status.phase, status.reason) == ("Failed", reason)


def test_a_measurement_does_not_save_a_container_that_failed_afterwards() -> None:
    assert view(trial(), pod(phase="Failed", terminated=ended(1, measured(0.9)))).state is TrialState.FAILED


def test_a_pod_that_can_never_be_accepted_is_a_failure() -> None:
    status = after(trial(), pod(phase="Failed", reason="UnsupportedPod", message="two containers"))
    assert status.failure is not None
    assert (status.failure.reason, status.failure.message) == ("UnsupportedPod", "two containers")


# --- Stopped

STOPPING: dict[str, tuple[tuple[Raw, ...], TrialState, PodState | None]] = {
    "never seen": ((), TrialState.STOPPED, None),
    "waiting": ((pod(phase="Pending"),), TrialState.RUNNING, PodState.WAITING),
    "running": ((RUNNING,), TrialState.RUNNING, PodState.RUNNING),
    "being deleted": ((pod(running={}, deleting=True),), TrialState.RUNNING, PodState.TERMINATING),
    "measured at the last moment": (
        (pod(terminated=ended(0, measured(0.9)), deleting=True),),
        TrialState.REPORTED,
        PodState.SUCCEEDED,
    ),
    "interrupted": ((pod(terminated=ended(75), deleting=True),), TrialState.STOPPED, None),
    "killed": ((pod(terminated=ended(137), deleting=True),), TrialState.STOPPED, None),
    "failed by itself": ((pod(terminated=ended(81)),), TrialState.FAILED, PodState.FAILED),
}


@pytest.mark.parametrize(("pods", "state", "pod_state"), STOPPING.values(), ids=list(STOPPING))
def test_stopped(pods: tuple[Raw, ...], state: TrialState, pod_state: PodState | None) -> None:
    seen = view(trial(desiredState="Stopped"), *pods)
    assert seen.state is state
    assert (seen.pod.state if seen.pod else None) is pod_state
    assert seen.pod_due is None
    after(trial(desiredState="Stopped"), *pods)


def test_a_stopped_trial_whose_pod_is_gone() -> None:
    status = after(trial(status=SEEN, desiredState="Stopped"))
    assert (status.phase, status.interruptions, status.gpu_seconds) == ("Stopped", 0, 2 * 3600)
    assert status.completion_time == "2026-03-01T12:00:00Z"


def test_a_stopped_trial_that_is_wanted_again_goes_on_with_its_next_attempt() -> None:
    raw = trial(desiredState="Stopped")
    ended_pod = pod(terminated=ended(75), deleting=True)
    raw = stored(raw, view(raw, ended_pod))
    raw["spec"]["desiredState"] = "Measured"
    seen = view(raw, ended_pod)
    assert (seen.state, seen.trial.status.attempt, seen.pod_due) == (TrialState.RUNNING, 1, NOW)
    assert seen.trial.status.gpu_seconds == 2 * 3600


# --- GPU time

ENDINGS: dict[str, Raw] = {
    "succeeded": ended(0, measured(0.9)),
    "failed": ended(1),
    "interrupted": ended(75),
    "unusable": ended(0, measured("NaN")),
}


@pytest.mark.parametrize("terminated", ENDINGS.values(), ids=list(ENDINGS))
@pytest.mark.parametrize("desired", ["Measured", "Stopped"])
@pytest.mark.parametrize("seen_before", [True, False])
def test_gpu_time_is_counted_once_however_often_one_looks(terminated: Raw, desired: str, seen_before: bool) -> None:
    raw = trial(status=SEEN if seen_before else None, desiredState=desired)
    for minutes in range(5):
        now = NOW + timedelta(minutes=minutes)
        raw = stored(raw, view(raw, pod(terminated=terminated), now=now), now)
    assert parse_trial(raw).status.gpu_seconds == 2 * 3600


def test_gpu_time_adds_up_over_attempts_and_rungs() -> None:
    raw = trial(resource=3)
    for attempt, code in ((0, 75), (1, 137), (2, 0)):
        why = {"reason": "Evicted"} if code == 137 else {}
        ending = pod(f"demo-0-r0-a{attempt}", terminated=ended(code, measured(0.9)), **why)
        raw = stored(raw, view(raw, ending))
    raw["spec"] |= {"rung": 1, "resource": 9}
    raw = stored(raw, view(raw, pod("demo-0-r1-a2", terminated=ended(0, measured(0.95)))))
    assert parse_trial(raw).status.gpu_seconds == 4 * 2 * 3600


def test_a_pod_that_waits_after_an_interruption_costs_nothing() -> None:
    raw = stored(trial(), view(trial(), pod(terminated=ended(75))))
    raw = stored(raw, view(raw, pod("demo-0-r0-a1", phase="Pending")))
    raw = stored(raw, view(raw))  # deleted before it ran
    assert parse_trial(raw).status.gpu_seconds == 2 * 3600
    assert parse_trial(raw).status.interruptions == 2


def test_a_container_whose_times_are_lost_is_counted_from_when_it_was_seen() -> None:
    unknown = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}
    status = after(trial(status=SEEN), pod(phase="Failed", terminated=unknown))
    assert (status.interruptions, status.gpu_seconds) == (1, 2 * 3600)
