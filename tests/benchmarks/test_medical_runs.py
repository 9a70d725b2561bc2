"""The harness of the tasks on real images: what a trial and a study cost, and when they are run anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from medical import runs, warm
from medical.report import spread, table

from trainer.support import SMALL_NETWORK, image_folder

BURNING = "import time\nwhile time.process_time() < 0.5: pass"
"""Half a second of the processor, whatever the clock says meanwhile."""


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The harness with a volume and stored runs of its own."""
    for module, name, value in ((runs, "VOLUME", tmp_path / "data"), (runs, "WORK", tmp_path / "work")):
        monkeypatch.setattr(module, name, value)
    return image_folder(tmp_path / "data" / "images").parent


def test_processor_seconds_count_processes_of_processes(tmp_path: Path) -> None:
    nested = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURNING!r}], check=True)\n{BURNING}"
    with (tmp_path / "log").open("w") as log:
        code, _, cpu = runs._timed([sys.executable, "-c", nested], {}, log)
        assert code == 0
        assert cpu >= 1.0
        assert runs._timed([sys.executable, "-c", "raise SystemExit(7)"], {}, log)[0] == 7


def test_a_trial_is_trained_once(volume: Path) -> None:
    config = SMALL_NETWORK | {"dataset": "images"}
    first = runs.run_trial("classification", config, seed=1, epochs=1)
    written = (first.folder / "checkpoint.pt").stat().st_mtime_ns
    assert runs.run_trial("classification", config, seed=1, epochs=1) == first
    assert (first.folder / "checkpoint.pt").stat().st_mtime_ns == written
    assert runs.run_trial("classification", config, seed=2, epochs=1).folder != first.folder
    assert set(runs.plain(first)) == {"metrics", "seconds", "cpu_seconds"}


def test_a_trial_that_fails_is_told(volume: Path) -> None:
    with pytest.raises(SystemExit, match=r"BadConfig: HPO_CONFIG\.datset"):
        runs.run_trial("classification", {"datset": "images"}, seed=1, epochs=1)


def test_a_trial_that_ends_without_a_message_is_told_and_the_next_one_runs(tmp_path: Path) -> None:
    assert warm.train({}, tmp_path / "no folder" / "log").code == 1
    cost = warm.train({"HPO_TASK": "nonsense", "HPO_TERMINATION_LOG": str(tmp_path / "message")}, tmp_path / "log")
    assert (cost.code, cost.seconds > 0) == (78, True)
    assert "expected one of classification" in (tmp_path / "message").read_text()


def test_a_study_is_run_once_and_anew_when_its_manifest_changes(volume: Path) -> None:
    first = runs.run_study(manifest(trials=2))
    assert [trial["metadata"]["name"] for trial in first.trials] == ["small-0", "small-1"]
    assert first.best["metadata"]["name"] == first.study["status"]["best"]["trial"]
    assert runs.run_study(manifest(trials=2)) == first
    assert len(runs.run_study(manifest(trials=1)).trials) == 1


def manifest(trials: int) -> dict[str, Any]:
    config = {key: value for key, value in SMALL_NETWORK.items() if key != "learningRate"}
    trainer = {"classification": config | {"dataset": "images", "epochs": 1}, "data": {"claimName": "data"}}
    spec = {
        "objective": {"metric": "accuracy", "direction": "Maximize"},
        "parameters": [{"name": "learningRate", "float": {"min": 1e-4, "max": 0.1, "scale": "Log"}}],
        "algorithm": {"sampler": {"type": "Random"}},
        "budget": {"trials": trials, "parallelism": 1},
        "trainer": trainer | {"checkpoints": {"claimName": "checkpoints"}},
    }
    return {"apiVersion": "hpo.study/v1alpha1", "kind": "HPOStudy", "metadata": {"name": "small"}, "spec": spec}


def test_tables_and_spreads() -> None:
    assert table(["a", "b"], [["x", 1]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert spread([0.5]) == "0.500"
    assert spread([1.0, 2.0, 3.0], 1) == "2.0 ± 1.0"
