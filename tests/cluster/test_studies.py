"""Studies on a real API server, the operator under its own service account, Pods as processes: from apply to result."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from stand.control_plane import ControlPlaneError
from stand.operator_process import OperatorProcess
from stand.studies import Studies, toy_study

pytestmark = pytest.mark.cluster


def condition(study: dict, kind: str) -> dict:  # type: ignore[type-arg]
    return next(c for c in study["status"]["conditions"] if c["type"] == kind)


def test_a_study_from_apply_to_result(studies: Studies) -> None:
    studies.apply(toy_study("toy", trials=8, parallelism=3))
    study = studies.wait("toy", "Succeeded")
    status = study["status"]
    assert (status["phase"], status["reason"], status["progress"]) == ("Succeeded", "TrialsCompleted", "8/8")
    assert {c["observedGeneration"] for c in status["conditions"]} == {study["metadata"]["generation"]}
    trials = studies.all("hpotrials", "toy")
    assert [t["spec"]["index"] for t in trials] == list(range(8))
    best = min(trials, key=lambda t: t["status"]["objective"])
    assert status["best"]["trial"] == best["metadata"]["name"]
    assert status["best"]["parameters"] == best["spec"]["parameters"]
    assert all(t["status"]["measurements"][0]["source"] == "TerminationMessage" for t in trials)
    pods = studies.all("pods", "toy")
    assert [p["metadata"]["name"] for p in pods] == [f"toy-{i}-r0-a0" for i in range(8)]
    assert all(p["spec"]["automountServiceAccountToken"] is False for p in pods)
    reasons = [reason for reason, _ in studies.events("toy")]
    assert reasons.count("Accepted") == 1
    assert reasons.count("TrialsCompleted") == 1


def test_columns_and_explanations(studies: Studies) -> None:
    studies.apply(toy_study("columns", trials=2, parallelism=2))
    studies.wait("columns")
    header, row = studies.kubectl("get", "hpo").splitlines()
    assert header.split() == ["NAME", "ALGORITHM", "BEST", "TRIALS", "RUNNING", "FAILED", "REASON", "AGE"]
    assert row.split()[:2] == ["columns", "GP"]
    assert "2/2" in row
    assert "TrialsCompleted" in row
    explained = studies.kubectl("explain", "hpostudy.spec", "--recursive")
    assert "parallelism" in explained
    assert "Trials that run at the same time." in studies.kubectl("explain", "hpostudy.spec.budget.parallelism")


def test_hyperband_promotes_from_checkpoints(studies: Studies) -> None:
    fidelity = {"resource": "epochs", "min": 1, "max": 9, "eta": 3}
    algorithm = {"sampler": {"type": "Random"}, "scheduler": {"type": "Hyperband"}}
    studies.apply(toy_study("hyperband", trials=9, parallelism=3, fidelity=fidelity, algorithm=algorithm))
    study = studies.wait("hyperband", "Succeeded")
    trials = studies.all("hpotrials", "hyperband")
    reached = sorted(t["status"]["measurements"][-1]["resource"] for t in trials)
    assert reached == [1] * 6 + [3] * 2 + [9]
    rungs = {p["metadata"]["name"].split("-")[2] for p in studies.all("pods", "hyperband")}
    assert rungs == {"r0", "r1", "r2"}
    assert study["status"]["best"]["resource"] == 9
    assert {t["status"]["phase"] for t in trials} == {"Succeeded"}


def test_a_container_that_only_has_metrics(studies: Studies) -> None:
    studies.apply(toy_study("metrics-only", trials=2, parallelism=2, mode="metrics"))
    studies.wait("metrics-only", "Succeeded")
    sources = {t["status"]["measurements"][0]["source"] for t in studies.all("hpotrials", "metrics-only")}
    assert sources == {"MetricsEndpoint"}


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("nan", "InvalidMeasurement"), ("silent", "MetricMissing"), ("crash", "Error"), ("oom", "OutOfMemory")],
)
def test_failed_trials_have_reasons_and_the_study_ends(studies: Studies, mode: str, reason: str) -> None:
    studies.apply(
        toy_study(mode, trials=4, parallelism=2, mode=mode, budget={"trials": 4, "parallelism": 2, "failedTrials": 1})
    )
    study = studies.wait(mode)
    assert condition(study, "Succeeded")["status"] == "False"
    assert study["status"]["reason"] == "TooManyFailures"
    failed = [t for t in studies.all("hpotrials", mode) if t["status"]["phase"] == "Failed"]
    assert {t["status"]["failure"]["reason"] for t in failed} == {reason}
    assert "TrialFailed" in [r for r, _ in studies.events(mode)]


def test_a_deleted_pod_is_an_interruption(studies: Studies, tmp_path: Path) -> None:
    study = toy_study("interrupted", trials=1, mode="wait")
    study["spec"]["trainer"]["checkpoints"] = {"claimName": "checkpoints"}
    (tmp_path / "checkpoints").mkdir()
    studies.claim("checkpoints", tmp_path / "checkpoints")
    studies.apply(study)
    studies.until_pods("interrupted", 1)
    (folder,) = (tmp_path / "checkpoints").glob("*/interrupted-0")
    studies.plane.wait_until((folder / "started").exists, "the trainer never began")
    studies.kubectl("delete", "pod", "interrupted-0-r0-a0")
    ended = studies.wait("interrupted", "Succeeded")
    (trial,) = studies.all("hpotrials", "interrupted")
    assert (trial["status"]["interruptions"], trial["status"]["attempt"]) == (1, 1)
    assert ended["status"]["trials"]["failed"] == 0


def test_a_suspended_study_gives_its_pods_back_and_goes_on(studies: Studies, tmp_path: Path) -> None:
    study = toy_study("suspended", trials=4, parallelism=2, mode="wait")
    study["spec"]["trainer"]["checkpoints"] = {"claimName": "checkpoints"}
    (tmp_path / "checkpoints").mkdir()
    studies.claim("checkpoints", tmp_path / "checkpoints")
    studies.apply(study)
    for i in range(2):
        mark = f"checkpoints/*/suspended-{i}/started"
        studies.plane.wait_until(lambda mark=mark: list(tmp_path.glob(mark)) != [], f"no {mark}")
    studies.kubectl("patch", "hpo", "suspended", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    status = studies.wait("suspended", "Suspended")["status"]
    assert (status["phase"], status["trials"]["running"]) == ("Suspended", 0)
    assert "Suspended" in studies.kubectl("get", "hpo", "suspended")
    assert [p for p in studies.all("pods", "suspended") if p["status"]["phase"] in ("Pending", "Running")] == []
    studies.kubectl("patch", "hpo", "suspended", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    for i in (2, 3):  # the first two report on their second run, the others wait in their first
        mark = f"checkpoints/*/suspended-{i}/started"
        studies.plane.wait_until(lambda mark=mark: list(tmp_path.glob(mark)) != [], f"no {mark}")
    trials = studies.all("hpotrials", "suspended")
    assert [t["status"]["phase"] for t in trials[:2]] == ["Succeeded", "Succeeded"]
    assert [(t["status"].get("interruptions", 0), t["status"]["attempt"]) for t in trials[:2]] == [(0, 1), (0, 1)]


def test_the_api_server_refuses_what_the_schema_can_say(studies: Studies) -> None:
    study = toy_study("refused", trials=2)
    study["spec"]["budget"]["trials"] = -1
    with pytest.raises(ControlPlaneError, match=r"spec\.budget\.trials.*should be greater than or equal to 1"):
        studies.apply(study)


def test_the_operator_refuses_the_rest_once(studies: Studies) -> None:
    study = toy_study("wrong", trials=2)
    study["spec"]["parameters"][0]["float"] = {"min": 2.0, "max": 1.0}
    studies.apply(study)
    studies.kubectl("wait", "--for=condition=Accepted=false", "hpo/wrong", "--timeout=60s")
    accepted = condition(studies.get("hpostudies", "wrong"), "Accepted")
    assert (accepted["reason"], accepted["status"]) == ("InvalidSpec", "False")
    assert accepted["message"] == "spec.parameters[0].float.min: expected min < max, found min 2 and max 1"
    version = studies.get("hpostudies", "wrong")["metadata"]["resourceVersion"]
    study["metadata"]["labels"] = {"touched": "yes"}  # an event that changes nothing about the spec
    studies.apply(study)
    studies.apply(toy_study("after", trials=1))
    studies.wait("after")  # by now the operator has long seen the label
    assert [reason for reason, _ in studies.events("wrong")] == ["InvalidSpec"]
    assert int(studies.get("hpostudies", "wrong")["metadata"]["resourceVersion"]) > int(version)
    study["spec"]["parameters"][0]["float"] = {"min": 1.0, "max": 2.0}
    studies.apply(study)
    studies.wait("wrong", "Succeeded")


def test_what_may_not_change_stops_the_study_until_it_is_changed_back(studies: Studies) -> None:
    study = toy_study("fixed", trials=2)
    studies.apply(study)
    studies.wait("fixed")
    studies.apply(study | {"spec": study["spec"] | {"seed": 99}})
    studies.kubectl("wait", "--for=condition=Accepted=false", "hpo/fixed", "--timeout=60s")
    message = condition(studies.get("hpostudies", "fixed"), "Accepted")["message"]
    assert message.startswith("spec.seed: may not change once trials exist")
    studies.apply(study | {"spec": study["spec"] | {"budget": {"trials": 3}}})
    studies.kubectl("wait", "--for=condition=Accepted", "hpo/fixed", "--timeout=60s")
    study_now = studies.wait("fixed", "Succeeded")
    assert study_now["metadata"]["generation"] == 3


def test_deletion_leaves_nothing_also_when_the_operator_is_down(studies: Studies, operator: OperatorProcess) -> None:
    studies.apply(toy_study("gone", trials=2, parallelism=2, mode="wait"))
    studies.until_pods("gone", 2)
    studies.plane.kill("operator")
    try:
        studies.kubectl("delete", "hpo", "gone", "--timeout=60s")
        left = ("hpotrials", "pods")  # the garbage collector takes them, without the operator
        studies.plane.wait_until(lambda: not any(studies.all(kind, "gone") for kind in left), "something is left")
    finally:
        operator.start()


def test_the_operator_serves_probes_and_metrics(studies: Studies, operator: OperatorProcess) -> None:
    studies.apply(toy_study("seen", trials=2))
    studies.wait("seen")

    def page(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}{path}", timeout=10) as response:
            return str(response.read().decode())

    assert page("/readyz") == "ready\n"
    assert page("/healthz") == "healthy\n"
    series = f'hpo_study_trials{{namespace="{studies.namespace}",state="succeeded",study="seen"}} 2.0'
    assert series in page("/metrics")
    lines = operator.log.read_text().splitlines()
    assert all(set(json.loads(line)) >= {"time", "level", "logger", "message"} for line in lines)
