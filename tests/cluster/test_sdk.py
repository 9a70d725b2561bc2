"""``Study`` on a real API server: submitted, waited for, suspended, found again by another process, deleted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hpo_operator import Mistake, Study, StudyFailed
from stand.command import environ
from stand.operator_process import OperatorProcess
from stand.studies import Raw, Studies, toy_study

pytestmark = pytest.mark.cluster


def submitted(studies: Studies, raw: Raw) -> Study:
    return Study.from_dict(raw).submit(studies.namespace, str(studies.plane.kubeconfig))


def attached(studies: Studies, name: str) -> Study:
    return Study.attach(name, studies.namespace, str(studies.plane.kubeconfig))


def test_submit_wait_and_look(studies: Studies) -> None:
    study = submitted(studies, toy_study("sdk", 4, parallelism=2)).wait(timeout=120)
    assert study.status["reason"] == "TrialsCompleted"
    records = study.records()
    assert [record["index"] for record in records] == [0, 1, 2, 3]
    assert study.best.value == min(record["value"] for record in records)
    assert isinstance(study.best.parameters["x"], float)
    found = attached(studies, "sdk")
    assert found.best == study.best
    assert found.manifest["spec"]["budget"] == {"trials": 4, "parallelism": 2}
    study.delete()
    with pytest.raises(Mistake, match=rf'{studies.namespace}/sdk: .*"sdk" not found'):
        attached(studies, "sdk")


def test_suspend_and_resume(studies: Studies) -> None:
    study = submitted(studies, toy_study("paused", 3, mode="slow"))
    studies.until_pods("paused", 1)
    study.suspend()
    studies.wait("paused", "Suspended")
    with pytest.raises(TimeoutError, match="paused has not ended within 1 s: 1 trials go on"):
        study.wait(timeout=1)
    study.resume()
    assert study.wait(timeout=120).status["progress"] == "3/3"


def test_a_study_that_fails_and_one_that_is_there(studies: Studies) -> None:
    raw = toy_study("failing", 2, mode="crash", budget={"trials": 2, "failedTrials": 0})
    study = submitted(studies, raw)
    with pytest.raises(StudyFailed, match="failing: TooManyFailures: 1 trials failed"):
        study.wait(timeout=120)
    with pytest.raises(Mistake, match="already exists"):
        submitted(studies, raw)


WAITING = """
import sys
from hpo_operator import Study
study = Study.from_file(sys.argv[1]).submit(sys.argv[2])
print("submitted", flush=True)
study.wait()
"""


def test_killed_and_attached_again(studies: Studies, operator: OperatorProcess) -> None:
    """The program that submitted it dies, and so does the operator; the study and whoever looks at it do not mind."""
    path = studies.plane.directory / "survivor.yaml"
    path.write_text(Study.from_dict(toy_study("survivor", 6, parallelism=2, mode="slow")).to_yaml())
    command = [sys.executable, "-c", WAITING, str(path), studies.namespace]
    with subprocess.Popen(command, env=environ(studies.plane.kubeconfig), stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "submitted\n"
        studies.until_pods("survivor", 1)
        program.kill()
    operator.daemon.kill()
    operator.start()
    study = attached(studies, "survivor").wait(timeout=240)
    assert [record["phase"] for record in study.records()] == ["Succeeded"] * 6
