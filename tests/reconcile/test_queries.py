"""An objective that Prometheus is asked for: what is asked, what an answer means, and what becomes of the trial."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_engine.trial import TrialState
from hpo_operator.api.parse import parse_study, parse_trial
from hpo_operator.reconcile.decide import decide
from hpo_operator.reconcile.pod_facts import read_pod
from hpo_operator.reconcile.queries import Answer, Found, Unanswered, Unusable, question, read_answer
from hpo_operator.reconcile.snapshot import Sample, Snapshot
from hpo_operator.reconcile.trial_state import TrialView, view_trial
from hpo_operator.reconcile.trial_status import trial_status
from reconcile.objects import NOW, SETTINGS, ended, measured, pod, study, trial
from reconcile.simulation import SimulatedCluster

Raw = dict[str, Any]
QUERY = 'max(dice{namespace="$(namespace)", study="$(study)", trial="$(trial)", pod="$(pod)"})'
ASKING = study(objective={"metric": "dice", "direction": "Maximize", "prometheus": {"query": QUERY}})
SPEC = parse_study(ASKING).spec
POD = "demo-0-r0-a0"
REPORTED = pod(phase="Succeeded", terminated=ended(0, measured(0.5)))
SILENT = pod(phase="Succeeded", terminated=ended(0))
REFUSING = pod(phase="Succeeded", terminated=ended(0, measured("much")))


def view(given_pod: Raw, answer: Answer | None = None, sample: Sample | None = None, **spec: Any) -> TrialView:
    snapshot = Snapshot(
        ASKING, samples={POD: sample} if sample else {}, answers={POD: answer} if answer is not None else {}
    )
    facts = {POD: read_pod(given_pod)}
    return view_trial(parse_trial(trial(**spec)), SPEC, facts, snapshot, 1, NOW)


def test_the_question_is_complete_and_of_the_end_of_the_pod() -> None:
    asked = question(parse_trial(trial()), SPEC, "lab", read_pod(REPORTED))
    assert asked is not None
    assert asked.text == f'max(dice{{namespace="lab", study="demo", trial="demo-0", pod="{POD}"}})'
    assert (asked.server, asked.at, asked.timeout_seconds) == ("default", "2026-03-01T11:00:00Z", 10)


def test_a_study_without_a_query_asks_nobody() -> None:
    assert question(parse_trial(trial()), parse_study(study()).spec, "lab", read_pod(REPORTED)) is None


def vector(*values: object) -> Raw:
    result = [{"metric": {}, "value": [1.0, value]} for value in values]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


NO_VECTOR = "expected an instant vector or a scalar, found"
ANSWERS: list[tuple[int, object, Answer]] = [
    (200, vector("0.75"), Found(0.75)),
    (200, {"status": "success", "data": {"resultType": "scalar", "result": [1.0, "2e-3"]}}, Found(0.002)),
    (200, vector(), Unusable("expected one series, found none")),
    (200, vector("1", "2"), Unusable("expected one series, found 2")),
    (200, vector("NaN"), Unusable("expected a finite number, found nan")),
    (200, vector("+Inf"), Unusable("expected a finite number, found inf")),
    (200, vector("high"), Unusable("expected a number")),
    (200, vector(None), Unusable("expected a number")),
    (200, {"status": "success", "data": {"resultType": "matrix"}}, Unusable(f"{NO_VECTOR} matrix")),
    (200, {"status": "success"}, Unusable(f"{NO_VECTOR} None")),
    (400, {"status": "error", "error": "parse error"}, Unusable("the query was refused: parse error")),
    (422, {"status": "error", "error": "many-to-many"}, Unusable("the query was refused: many-to-many")),
    (503, {"status": "error", "error": "query timed out"}, Unanswered("HTTP 503: query timed out")),
    (429, {"error": "too many"}, Unanswered("HTTP 429: too many")),
    (200, {"status": "error", "error": "odd"}, Unanswered("HTTP 200: odd")),
    (502, "<html>", Unanswered("HTTP 502 without JSON: is this a Prometheus server?")),
    (200, [1, 2], Unanswered("HTTP 200 without JSON: is this a Prometheus server?")),
]  # fmt: skip


@pytest.mark.parametrize(("status", "said", "meaning"), ANSWERS)
def test_answers(status: int, said: object, meaning: Answer) -> None:
    assert read_answer(status, said.encode() if isinstance(said, str) else json.dumps(said).encode()) == meaning


@given(st.sampled_from([200, 400, 500]), st.binary() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["status", "data", "result", "resultType", "value", "error"]), inner), max_leaves=8
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_is_said_is_an_answer(status: int, body: bytes) -> None:
    assert isinstance(read_answer(status, body), Found | Unusable | Unanswered)


@pytest.mark.parametrize(
    ("ended_pod", "answer", "sample", "source", "value"),
    [
        (REPORTED, Found(0.9), None, "Prometheus", 0.9),
        (SILENT, Found(0.9), Sample(0.3, 2), "Prometheus", 0.9),
        (REFUSING, Found(0.9), None, "Prometheus", 0.9),
        (REPORTED, Unusable("none"), Sample(0.3, 2), "TerminationMessage", 0.5),
        (SILENT, Unusable("none"), Sample(0.3, 2), "MetricsEndpoint", 0.3),
    ],
)
def test_who_tells_the_objective(
    ended_pod: Raw, answer: Answer, sample: Sample | None, source: str, value: float
) -> None:
    seen = view(ended_pod, answer, sample)
    assert seen.state is TrialState.REPORTED
    (measurement,) = seen.trial.status.measurements
    assert (measurement.source, measurement.value) == (source, value)
    assert (seen.remark is None) == (source == "Prometheus")


def test_what_else_the_trial_reported_is_kept() -> None:
    (measurement,) = view(REPORTED, Found(0.9)).trial.status.measurements
    assert (measurement.metrics, measurement.seconds) == ({"dice": 0.5}, 12.5)


@pytest.mark.parametrize("ended_pod", [SILENT, REFUSING])
def test_nobody_tells_it(ended_pod: Raw) -> None:
    seen = view(ended_pod, Unusable("expected one series, found none"))
    assert seen.state is TrialState.FAILED
    failure = seen.trial.status.failure
    assert failure is not None
    assert failure.message.startswith("Prometheus: expected one series, found none; ")


@pytest.mark.parametrize("answer", [None, Unanswered("no route to host")])
def test_without_an_answer_the_trial_waits(answer: Answer | None) -> None:
    seen = view(REPORTED, answer)
    assert seen.state is TrialState.RUNNING
    assert seen.question is not None
    assert not seen.is_training
    status = trial_status(seen, SPEC, False, NOW)
    assert (status.phase, status.reason) == (
        "Running", "QueryingPrometheus" if answer is None else "PrometheusUnavailable"
    )  # fmt: skip
    assert status.measurements == []


def test_a_trial_that_is_stopped_does_not_wait() -> None:
    seen = view(REPORTED, Unanswered("no route to host"), desiredState="Stopped")
    assert seen.state is TrialState.REPORTED
    assert seen.trial.status.measurements[0].source == "TerminationMessage"


def test_it_is_asked_when_the_last_scrape_has_settled_and_again_until_it_answers() -> None:
    cluster = SimulatedCluster(ASKING)
    cluster.edit_budget(trials=1, parallelism=1)
    while cluster.step() and cluster.pods[POD]["status"]["phase"] != "Succeeded":
        pass
    first = cluster.settle()
    assert first.questions == ()
    assert first.wake_at == cluster.now + timedelta(seconds=2)
    cluster.now = first.wake_at
    (asked,) = cluster.settle().questions
    assert asked.pod == POD
    cluster.answers = {POD: Unanswered("no route to host")}
    assert cluster.settle().questions == (asked,)
    cluster.now += timedelta(seconds=20)
    cluster.settle()
    assert cluster.status["reason"] == "PrometheusUnavailable"
    assert cluster.events[-1].reason == "PrometheusUnavailable"
    cluster.answers = {POD: Found(0.25)}
    assert cluster.settle().questions == ()
    assert cluster.status["phase"] == "Succeeded"
    assert cluster.status["best"]["value"] == 0.25


def test_a_decision_on_no_answer_is_the_same_again() -> None:
    snapshot = Snapshot(ASKING, (trial(),), (REPORTED,))
    now = datetime(2026, 3, 1, 11, 0, 1, tzinfo=UTC)
    assert decide(snapshot, SETTINGS, now) == decide(snapshot, SETTINGS, now)
