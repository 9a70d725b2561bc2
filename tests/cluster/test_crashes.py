"""The operator killed again and again: nothing lost or doubled; where order cannot matter, the same result."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from stand.operator_process import ROOT, OperatorProcess
from stand.studies import Raw, Studies, results, toy_study

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

KILLS = 10
TRIALS = 20


def kill_during(studies: Studies, operator: OperatorProcess, study: Raw, rng: random.Random) -> Raw:
    """Apply the study and kill the operator at KILLS random moments while it runs; the finished study."""
    name = study["metadata"]["name"]
    studies.apply(study)
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.2, 3.5))  # when to strike; nothing is judged by it
        operator.daemon.kill()
        ended = "completionTime" in studies.get("hpostudies", name).get("status", {})
        operator.start()
        assert not ended, "the study ended before the last kill"
    return studies.wait(name, seconds=300)


def assert_nothing_lost_or_doubled(studies: Studies, study: Raw) -> None:
    name = study["metadata"]["name"]
    assert study["status"]["progress"] == f"{TRIALS}/{TRIALS}"
    assert [t["spec"]["index"] for t in studies.all("hpotrials", name)] == list(range(TRIALS))
    assert {p["metadata"]["name"] for p in studies.all("pods", name)} == {f"{name}-{i}-r0-a0" for i in range(TRIALS)}


def replayed(studies: Studies, name: str) -> str:
    """What ``hpo replay`` says of the study as the API server stores it."""
    command = [sys.executable, "-m", "hpo_operator.cli.main", "replay", name, "--cluster", "-n", studies.namespace]
    environ = {"PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(studies.plane.kubeconfig)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_killed_at_parallelism_1_the_result_is_the_same(studies: Studies, operator: OperatorProcess) -> None:
    studies.apply(toy_study("undisturbed", TRIALS, mode="slow"))
    killed = kill_during(studies, operator, toy_study("killed", TRIALS, mode="slow"), random.Random(1))
    undisturbed = studies.wait("undisturbed", seconds=300)
    assert_nothing_lost_or_doubled(studies, killed)
    assert results(studies.all("hpotrials", "killed")) == results(studies.all("hpotrials", "undisturbed"))
    assert killed["status"]["best"]["index"] == undisturbed["status"]["best"]["index"]
    assert replayed(studies, "killed") == f"{TRIALS} trials, {TRIALS} decisions: all as recorded\n"


def test_killed_at_parallelism_4_nothing_is_lost_or_doubled(studies: Studies, operator: OperatorProcess) -> None:
    killed = kill_during(
        studies, operator, toy_study("killed4", TRIALS, parallelism=4, mode="slower"), random.Random(2)
    )
    assert_nothing_lost_or_doubled(studies, killed)
    assert replayed(studies, "killed4").endswith("decisions: all as recorded\n")
