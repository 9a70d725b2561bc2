"""The same study file with and without a cluster: the same parameters, the same objectives, on a real MRI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stand.cluster import SOURCE_ROOTS
from stand.studies import Raw, Studies, results, small_brain_study

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(600)]


def run_here(file: Path, state: Path, data: Path) -> list[Raw]:
    """``hpo run``; the finished trials."""
    command = [sys.executable, "-m", "hpo_operator.cli.main", "run", str(file), "--plain", "--state", str(state)]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, SOURCE_ROOTS))}
    done = subprocess.run([*command, "--volume", f"brain-mri={data}"], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = [json.loads(path.read_text()) for path in (state / "brain-tissue" / "trials").glob("*.json")]
    return sorted(trials, key=lambda trial: trial["spec"]["index"])


def test_embedded_and_cluster_agree(studies: Studies, tmp_path: Path) -> None:
    data = tmp_path / "data"
    subprocess.run(
        [sys.executable, "-m", "hpo_trainer.demo_data", str(data)],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, SOURCE_ROOTS))},
    )
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    studies.claim("brain-mri", data)
    studies.claim("checkpoints", checkpoints)
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(small_brain_study()))
    here = run_here(file, tmp_path / "state", data)
    studies.apply(small_brain_study())
    studies.wait("brain-tissue", "Succeeded", seconds=400)
    there = studies.all("hpotrials", "brain-tissue")
    assert len(here) == 5
    assert results(here) == results(there)
    assert [t["spec"]["resource"] for t in here] == [t["spec"]["resource"] for t in there]
