"""``hpo logs --cluster``: through the API server from the node on which the trial's Pod runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from stand.command import hpo
from stand.studies import Studies, toy_study
from stand.users import User

pytestmark = pytest.mark.cluster

TALKS = "import time; print('first', flush=True); time.sleep(2); print('last'); raise SystemExit(3)"


def test_the_log_of_a_trials_pod(studies: Studies, tmp_path: Path) -> None:
    study = toy_study("talks", trials=1)
    study["spec"]["trainer"]["podTemplate"]["spec"]["containers"][0]["command"] = ["python", "-c", TALKS]
    studies.apply(study)
    studies.until_pods("talks", 1)
    there = ("--cluster", "-n", studies.namespace)
    followed = hpo(studies.plane.kubeconfig, "logs", "talks-0", "--follow", *there)
    assert (followed.returncode, followed.stdout, followed.stderr) == (0, "first\nlast\n", "")
    again = hpo(studies.plane.kubeconfig, "logs", "talks-0", *there)
    assert again.stdout == followed.stdout == studies.kubectl("logs", "talks-0-r0-a0")
    absent = hpo(studies.plane.kubeconfig, "logs", "talks-7", *there)
    assert (absent.returncode, 'hpotrials.hpo.study "talks-7" not found' in absent.stderr) == (2, True)
    assert 'cannot list resource "pods"' in User(studies, tmp_path).errs("logs", "talks-0", *there)
    studies.kubectl("delete", "pod", "talks-0-r0-a0")
    gone = hpo(studies.plane.kubeconfig, "logs", "talks-0", *there)
    assert "none of its Pods is there" in gone.stderr
