"""``hpo simulate``: what it says, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from hpo_operator.cli.main import app
from reconcile.objects import study
from reconcile.simulation import SimulatedCluster
from reconcile.studies import HYPERBAND

TRAINER = {
    "segmentation": {},
    "data": {"claimName": "mri"},
    "checkpoints": {"claimName": "c"},
    "resources": {"limits": {"nvidia.com/gpu": 2}},
}


def written(folder: Path, **spec: Any) -> str:
    raw = study(**(HYPERBAND | {"trainer": TRAINER, "budget": {"trials": 17, "parallelism": 8}} | spec))
    raw["metadata"] = {"name": "demo"}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(raw))
    return str(path)


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *arguments, "--draws", "2"])


def test_a_table_and_sentences(tmp_path: Path) -> None:
    done = simulate(written(tmp_path), "--seconds-per-epoch", "100", "--gpus", "6", "--startup", "0")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].split() == ["EPOCHS", "TRIALS", "EPOCHS", "TRAINED", "GPU-HOURS"]
    assert lines[1].split()[:3] == ["1", "9", "9"]
    hours = re.search(r"About ([\d.]+) (?:\(.*?\) )?GPU-hours", done.output)
    assert hours is not None
    assert float(hours[1]) == pytest.approx(3.83, rel=0.3)  # 69 epochs of 100 s on average on two GPUs
    assert "Parallelism 8: never more than 3 Pods at once (6 GPUs hold no more)" in done.output
    assert "Assumed: 100 s per epoch on average" in done.output


def test_as_json(tmp_path: Path) -> None:
    done = simulate(written(tmp_path), "--seconds-per-epoch", "100", "--startup", "0", "-o", "json")
    said = json.loads(done.output)
    assert said["podSeconds"]["median"] == pytest.approx(6900, rel=0.3)
    assert said["gpuHours"]["median"] == pytest.approx(2 * said["podSeconds"]["median"] / 3600)
    assert [rung["units"]["median"] for rung in said["rungs"]] == [9, 21, 39]


def test_a_limit_is_warned_of(tmp_path: Path) -> None:
    file = written(tmp_path, budget={"trials": 17, "parallelism": 1, "gpuHours": 1.0})
    done = simulate(file, "--seconds-per-epoch", "100")
    assert "warning: budget.gpuHours ends the study in 2 of 2 simulations, after" in done.output


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The file of a study that ran: depth × 10 s an epoch, from the first epoch at each rung."""
    raw = study(**HYPERBAND, budget={"trials": 17, "parallelism": 2})
    cluster = SimulatedCluster(raw)
    cluster.run()
    items = [cluster.study, *cluster.trials.values()]
    kinds = ["HPOStudy", *["HPOTrial"] * len(cluster.trials)]
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump_all({**item, "kind": kind} for item, kind in zip(items, kinds, strict=True)))
    return path


def test_from_an_earlier_study(tmp_path: Path, earlier: Path) -> None:
    done = simulate(written(tmp_path), "--from", "demo", "--objects", str(earlier))
    assert done.exit_code == 0, done.output
    assert "From demo: " in done.output
    assert "by configuration, of 17 trials" in done.output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "expected either --seconds-per-epoch or --from STUDY, found neither"),
        (
            ["--seconds-per-epoch", "1", "--from", "x"],
            "expected either --seconds-per-epoch or --from STUDY, found both",
        ),
        (["--seconds-per-epoch", "1", "--gpus", "1"], "--gpus 1: each Pod of the study holds 2 GPUs, none would ever"),
        (["--from", "nobody"], "nobody: expected the folder of a study"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, options: list[str], sentence: str) -> None:
    done = simulate(written(tmp_path), *options)
    assert done.exit_code == 2
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_pods_without_a_gpu_share_none(tmp_path: Path) -> None:
    plain = {name: value for name, value in TRAINER.items() if name != "resources"}
    file = written(tmp_path, trainer=plain)
    assert "--gpus 1: the study's Pods ask for none" in simulate(file, "--seconds-per-epoch", "1", "--gpus", "1").output
    assert "Pod-hours, without GPUs" in simulate(file, "--seconds-per-epoch", "1").output


def test_a_study_that_begins_nothing_is_no_forecast(tmp_path: Path) -> None:
    done = simulate(written(tmp_path, budget={"trials": 3, "parallelism": 0}), "--seconds-per-epoch", "1")
    assert done.exit_code == 2
    assert "spec.budget.parallelism: expected at least 1 to simulate" in done.output
