"""The commands that show studies, on those of a real API server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from stand import command
from stand.build import Assets
from stand.studies import Studies, toy_study

pytestmark = pytest.mark.cluster


def hpo(studies: Studies, *arguments: str) -> str:
    done = command.hpo(studies.plane.kubeconfig, *arguments, "--cluster", "-n", studies.namespace)
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


def test_kubectl_hpo_looks_into_the_cluster_first(studies: Studies, stand_assets: Assets, tmp_path: Path) -> None:
    studies.apply(toy_study("plugged", trials=1))
    command.kubectl_plugin(tmp_path)
    environ = command.environ(studies.plane.kubeconfig)
    environ["PATH"] = os.pathsep.join((str(tmp_path), environ["PATH"]))

    def says(*arguments: str) -> str:
        done = subprocess.run(
            [stand_assets.kubectl, "hpo", *arguments], env=environ, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "plugged" in says("list", "-n", studies.namespace)
    assert "plugged" not in says("list", "--local")
    assert "Usage: kubectl hpo list" in says("list", "--help")
