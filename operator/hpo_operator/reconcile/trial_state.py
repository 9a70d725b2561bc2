"""From a trial, its Pods and the latest sample to the trial's status and its place in the engine: a truth table.

status says       current Pod      becomes
---------------   --------------   --------------------------------------------------------------
measured at rung  (any)            REPORTED: Waiting at a rung, or Succeeded
failure           (any)            FAILED
otherwise         never seen       RUNNING: a Pod is created
                  gone             as it was last seen to end; else as INTERRUPTED, by PodDeleted
                  WAITING          RUNNING: Pending, with what it waits for
                  RUNNING          RUNNING: with the latest sample
                  TERMINATING      RUNNING: its end tells
                  SUCCEEDED        measured, or failure when there is no usable measurement;
                                   RUNNING while a Prometheus server that is to be asked has not answered
                  INTERRUPTED      RUNNING: next attempt, after a pause; too many: failure
                  FAILED           failure
Suspended wanted  never seen       RUNNING: no Pod is created
                  WAITING, RUNNING RUNNING: the Pod is deleted
                  gone, INTERRUPTED  RUNNING: next attempt, at once and not counted, when Measured is wanted again
                  the others       as above
Stopped wanted    never seen       STOPPED
                  WAITING, RUNNING RUNNING: the Pod is deleted
                  gone, INTERRUPTED  STOPPED
                  the others       as above
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from hpo_engine import trial as engine
from hpo_operator.api.study import StudySpec
from hpo_operator.api.trial import (
    MAX_CURVE_POINTS,
    CurvePoint,
    HpoTrial,
    Measurement,
    TrialFailure,
    TrialStatus,
    WatchedPoint,
)
from hpo_operator.manifests import names
from hpo_operator.reconcile import clock
from hpo_operator.reconcile.final_message import Refusal, Report, read_final_message
from hpo_operator.reconcile.pod_facts import PodFacts, PodState
from hpo_operator.reconcile.queries import SETTLE_SECONDS, Answer, Found, Question, Unusable, question
from hpo_operator.reconcile.snapshot import Raw, Sample, Snapshot

MAX_INTERRUPTIONS = 50
"""A trial that the cluster never lets finish ends as a failure in the end, rather than hold its study for ever."""
LONGEST_PAUSE_SECONDS = 300
STALL_SECONDS = {PodState.WAITING: 20, PodState.TERMINATING: 60}
"""A Pod that waits this long, or is still there so long after it should be gone, is worth a word."""


@dataclass(frozen=True, slots=True)
class TrialView:
    """A trial as it should stand now. ``pod``: facts of its current Pod. ``pod_due``: when to create one, if ever.

    ``refusal``: what the API server said when it was last asked for this Pod. ``question``: what a Prometheus server is
    to be asked before the trial is measured, not before ``asked_from``; ``unanswered``: why it could not answer so far.
    ``remark``: what people should know about its measurement.
    """

    trial: HpoTrial
    state: engine.TrialState
    pod: PodFacts | None = None
    pod_due: datetime | None = None
    refusal: str | None = None
    question: Question | None = None
    unanswered: str | None = None
    remark: str | None = None

    @property
    def asked_from(self) -> datetime | None:
        if self.question is None:
            return None
        return clock.from_text(self.question.at) + timedelta(seconds=SETTLE_SECONDS)

    @property
    def stalled_at(self) -> datetime | None:
        """When people should be told that it does not go on, unless it does by then."""
        if self.question is not None:
            return clock.from_text(self.question.at) + timedelta(seconds=STALL_SECONDS[PodState.WAITING])
        if self.state is not engine.TrialState.RUNNING or self.pod is None or self.pod.since is None:
            return None
        return clock.from_text(self.pod.since) + timedelta(seconds=STALL_SECONDS[self.pod.state])

    @property
    def is_training(self) -> bool:
        return self.pod is not None and self.pod.state in (PodState.RUNNING, PodState.TERMINATING)


def view_trial(
    trial: HpoTrial,
    spec: StudySpec,
    pods: Mapping[str, PodFacts],
    snapshot: Snapshot,
    gpus: int,
    now: datetime,
    levels: Sequence[int] = (),
) -> TrialView:
    """The trial after what its current Pod tells. ``pods``: with those that are gone, as far as it is known how.

    ``gpus``: GPUs that its Pod holds.

    ``levels``: ascending amounts of the fidelity at which the scheduler looks at trials that run.
    """
    status = trial.status
    name = current_pod(trial)
    pod = pods.get(name)
    if status.failure is not None:
        return TrialView(trial, engine.TrialState.FAILED, pod)
    if _measured(trial):
        return TrialView(trial, engine.TrialState.REPORTED, pod)
    stopping, suspending = (trial.spec.desired_state == wanted for wanted in ("Stopped", "Suspended"))
    if pod is None and status.pod != name:
        if stopping:
            return TrialView(trial, engine.TrialState.STOPPED)
        if suspending:
            return TrialView(trial, engine.TrialState.RUNNING)
        return TrialView(trial, engine.TrialState.RUNNING, None, _due(status, now), snapshot.refusals.get(name))
    if pod is None:
        pod = PodFacts(name, PodState.INTERRUPTED, "PodDeleted", "the Pod is gone")
    match pod.state:
        case PodState.WAITING | PodState.RUNNING | PodState.TERMINATING:
            return TrialView(_seen(trial, pod, snapshot.samples.get(name), levels), engine.TrialState.RUNNING, pod)
        case PodState.SUCCEEDED:
            seen = _seen(trial, pod, snapshot.samples.get(name), levels)
            asked = None if stopping else question(trial, spec, snapshot.study["metadata"]["namespace"], pod)
            answer = snapshot.answers.get(name)
            if asked is not None and not isinstance(answer, Found | Unusable):
                why = None if answer is None else answer.message
                return TrialView(seen, engine.TrialState.RUNNING, pod, question=asked, unanswered=why)
            return _succeeded(seen, pod, spec, gpus, now, answer if asked else None)
        case PodState.INTERRUPTED if stopping:
            return TrialView(_left_behind(trial, pod, gpus, now), engine.TrialState.STOPPED)
        case PodState.INTERRUPTED if suspending:
            left = _with(_left_behind(trial, pod, gpus, now), interrupted_at=None)
            return TrialView(left, engine.TrialState.RUNNING)
        case PodState.INTERRUPTED:
            return _interrupted(trial, pod, gpus, now)
        case PodState.FAILED:
            said = read_final_message(pod.final_message, spec.objective.metric)
            message = said.message if isinstance(said, Refusal) else pod.message or _tail(pod.final_message)
            return _failed(_seen(trial, pod, None), pod, pod.reason, message, gpus, now)


def current_pod(trial: HpoTrial) -> str:
    """Name of the Pod of its current attempt, whether it is there or not."""
    return names.pod_name(trial.name, trial.spec.rung, trial.status.attempt)


def awaited_pod(trial: Raw) -> str | None:
    """Name of the Pod that a trial (as the API server holds it) waits for; None: it has failed, or is measured."""
    spec, status = trial["spec"], trial.get("status") or {}
    rung = spec.get("rung", 0)
    over = status.get("failure") or any(m["rung"] == rung for m in status.get("measurements") or ())
    return None if over else names.pod_name(trial["metadata"]["name"], rung, status.get("attempt", 0))


def engine_trial(view: TrialView, parameters: engine.Parameters, watched: bool = False) -> engine.Trial:
    """The trial as the engine sees it. ``watched``: with what schedulers judge running trials by."""
    spec, status = view.trial.spec, view.trial.status
    measured = {m.resource for m in status.measurements}
    between = [p for p in status.watched if p.resource not in measured] if watched else []
    return engine.Trial(
        index=spec.index,
        parameters=parameters,
        state=view.state,
        rung=spec.rung,
        resource=spec.resource,
        measurements=(
            *(engine.Measurement(p.resource, p.value) for p in between),
            *(
                engine.Measurement(m.resource, m.value, m.seconds, m.peak_memory_bytes, m.metrics)
                for m in status.measurements
            ),
        ),
        failure=status.failure.reason if status.failure else None,
    )


def _measured(trial: HpoTrial) -> bool:
    return any(m.rung == trial.spec.rung for m in trial.status.measurements)


def _due(status: TrialStatus, now: datetime) -> datetime:
    """At once; after the n-th interruption 2^(n-1) seconds, at most LONGEST_PAUSE_SECONDS, after that attempt began.

    So a trial whose Pods never live long is tried ever more slowly; one that was lost after an hour goes on at once.
    """
    if status.pod is not None or status.interrupted_at is None:  # what ended last was no interruption
        return now
    pause = min(2 ** min(status.interruptions - 1, 30), LONGEST_PAUSE_SECONDS)
    return clock.from_text(status.pod_start_time or status.interrupted_at) + timedelta(seconds=pause)


def _with(trial: HpoTrial, **changes: object) -> HpoTrial:
    return trial.model_copy(update={"status": trial.status.model_copy(update=changes)})


def _seen(trial: HpoTrial, pod: PodFacts, sample: Sample | None, levels: Sequence[int] = ()) -> HpoTrial:
    """The trial with its Pod noted, and with the sample if that is news."""
    status = trial.status
    started = _started(trial, pod)
    changes: dict[str, object] = {
        "pod": pod.name,
        "pod_start_time": started,
        "start_time": status.start_time or started,
    }
    if sample is not None:
        changes |= {"objective": sample.value, "resource": sample.resource, "sampled_pod": pod.name}
        last = status.curve[-1].resource if status.curve else 0
        curve = status.curve
        for resource, value in (*(point for point in sample.curve if point[0] > last), (sample.resource, sample.value)):
            curve = _extended(curve, resource, value)
        changes |= {"curve": curve, "watched": _watched(status.watched, sample, levels)}
    return _with(trial, **changes)


def _watched(points: list[WatchedPoint], sample: Sample, levels: Sequence[int]) -> list[WatchedPoint]:
    """With the first point at or behind each of ``levels`` that the trial has passed since.

    A point stays as it was first seen, also when a later attempt passes there again: it was judged by.
    """
    passed = bisect_right(levels, points[-1].resource) if points else 0
    new: list[WatchedPoint] = []
    for resource, value in (*sample.curve, (sample.resource, sample.value)):
        if bisect_right(levels, resource) > passed:
            passed = bisect_right(levels, resource)
            new.append(WatchedPoint(resource=resource, value=value))
    return [*points, *new]


def _extended(curve: list[CurvePoint], resource: int, value: float) -> list[CurvePoint]:
    """The curve with one more point, without the one where it is densest when full; no resource, no curve."""
    if resource == 0:
        return curve
    kept = [point for point in curve if point.resource < resource]
    if len(kept) >= MAX_CURVE_POINTS:
        del kept[min(range(1, len(kept) - 1), key=lambda i: kept[i + 1].resource - kept[i - 1].resource)]
    return [*kept, CurvePoint(resource=resource, value=value)]


def _started(trial: HpoTrial, pod: PodFacts) -> str | None:
    """When the Pod began to run, by itself or, if it cannot tell any more, as it was seen."""
    return pod.started or (trial.status.pod_start_time if trial.status.pod == pod.name else None)


def _spent(trial: HpoTrial, pod: PodFacts, gpus: int, now: datetime) -> HpoTrial:
    """The trial with the ended Pod's GPU time added. Called in the one step that leaves this Pod behind."""
    used = gpus * clock.seconds_between(_started(trial, pod), pod.finished or clock.to_text(now))
    return _with(trial, gpu_seconds=trial.status.gpu_seconds + used, pod=pod.name, pod_start_time=None)


def _left_behind(trial: HpoTrial, pod: PodFacts, gpus: int, now: datetime) -> HpoTrial:
    """The trial before its next attempt. While it has no Pod, ``pod_start_time`` is still the last one's."""
    spent = _spent(trial, pod, gpus, now)
    return _with(spent, attempt=trial.status.attempt + 1, pod=None, pod_start_time=_started(trial, pod))


def _interrupted(trial: HpoTrial, pod: PodFacts, gpus: int, now: datetime) -> TrialView:
    count = trial.status.interruptions + 1
    if count > MAX_INTERRUPTIONS:
        message = f"interrupted {count} times, the last time by {pod.reason}"
        return _failed(trial, pod, "TooManyInterruptions", message, gpus, now)
    lost_at = pod.finished or clock.to_text(now)
    trial = _with(_left_behind(trial, pod, gpus, now), interruptions=count, interrupted_at=lost_at)
    return TrialView(trial, engine.TrialState.RUNNING, None, _due(trial.status, now))


def _failed(trial: HpoTrial, pod: PodFacts, reason: str, message: str, gpus: int, now: datetime) -> TrialView:
    failure = TrialFailure(reason=reason, message=message[:2048], exit_code=pod.exit_code)
    return TrialView(_with(_spent(trial, pod, gpus, now), failure=failure), engine.TrialState.FAILED, pod)


def _succeeded(
    trial: HpoTrial, pod: PodFacts, spec: StudySpec, gpus: int, now: datetime, answer: Answer | None
) -> TrialView:
    """Exit 0: what Prometheus says counts, if it was asked; else the trainer's own report; else the last sample."""
    metric = spec.objective.metric
    report = read_final_message(pod.final_message, metric)
    asked = f"Prometheus: {answer.message}; " if isinstance(answer, Unusable) else ""
    measurement = _measurement(trial, pod, report, answer.value if isinstance(answer, Found) else None)
    if measurement is None and isinstance(report, Refusal):
        return _failed(trial, pod, report.reason, f"{asked}{report.message}", gpus, now)
    if measurement is None:
        message = f"the container ended well, but neither its termination message nor its /metrics held {metric!r}"
        return _failed(trial, pod, "MetricMissing", f"{asked}{message}", gpus, now)
    status = trial.status
    trial = _with(
        _spent(trial, pod, gpus, now),
        measurements=[*status.measurements, measurement],
        objective=measurement.value,
        resource=measurement.resource,
        curve=_extended(status.curve, measurement.resource, measurement.value),
        sampled_pod=None,
    )
    remark = f"{asked}its {measurement.source} counts instead" if asked else None
    return TrialView(trial, engine.TrialState.REPORTED, pod, remark=remark)


def _measurement(
    trial: HpoTrial, pod: PodFacts, report: Report | Refusal | None, asked: float | None
) -> Measurement | None:
    """None when nobody tells the objective. Its resource is the one asked for: a rung compares its trials there.

    ``asked``: what Prometheus said, which is the objective whatever else was reported.
    """
    spec, status = trial.spec, trial.status
    ran = clock.seconds_between(pod.started, pod.finished)
    if isinstance(report, Report):
        return Measurement(
            rung=spec.rung,
            resource=spec.resource,
            value=report.value if asked is None else asked,
            metrics=report.metrics,
            source="TerminationMessage" if asked is None else "Prometheus",
            seconds=ran if report.seconds is None else report.seconds,
            peak_memory_bytes=report.peak_memory_bytes,
        )
    sampled = status.objective if report is None and status.sampled_pod == pod.name else None
    value = sampled if asked is None else asked
    if value is None:
        return None
    source: Literal["MetricsEndpoint", "Prometheus"] = "MetricsEndpoint" if asked is None else "Prometheus"
    return Measurement(rung=spec.rung, resource=spec.resource, value=value, source=source, seconds=ran)


def _tail(text: str) -> str:
    """The last line of what a container left behind, which in a traceback is the error itself."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "the container gave no reason; see its log"
