"""The commands that show studies, on those of a real API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stand.studies import Studies, toy_study

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[2]


def hpo(studies: Studies, *arguments: str) -> str:
    command = [sys.executable, "-m", "hpo_operator.cli.main", *arguments, "--cluster", "-n", studies.namespace]
    environ = os.environ | {"PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(studies.plane.kubeconfig)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_study_of_the_cluster_is_listed_shown_and_reported(studies: Studies, tmp_path: Path) -> None:
    studies.apply(toy_study("shown", trials=4, parallelism=2))
    status = studies.wait("shown", "Succeeded")["status"]
    (listed,) = [each for each in json.loads(hpo(studies, "list", "-o", "json")) if each["study"] == "shown"]
    assert (listed["best"], listed["progress"]) == (status["best"]["value"], "4/4")
    assert json.loads(hpo(studies, "best", "shown", "-o", "json")) == status["best"]
    assert len(json.loads(hpo(studies, "trials", "shown", "-o", "json"))) == 4
    page = tmp_path / "shown.html"
    hpo(studies, "report", "shown", "-o", str(page))
    assert f"The best is trial {status['best']['index']} with" in page.read_text()
