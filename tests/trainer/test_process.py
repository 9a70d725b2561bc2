"""Trials as processes: killed, told to stop, and watched while they run."""

from __future__ import annotations

import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from hpo_trainer import checkpoint
from hpo_trainer.evaluation.classification import metric_names
from trainer.support import SMALL_NETWORK, TrialRunner, image_folder, wait_for

SLOW_EPOCHS: dict[str, Any] = {"batchSize": 1, "augmentation": True, "dropout": 0.1, "optimizer": "AdamW"}
EPOCHS, FOR_EVER = 8, 100_000
"""Runs that are to be stopped are told to train for ever, so that none is done before it is stopped."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_folder(tmp_path_factory.mktemp("data"), count=60)


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return trial(tmp_path_factory.mktemp("undisturbed"), data).run(EPOCHS).metrics


def trial(folder: Path, data: Path) -> TrialRunner:
    return TrialRunner(folder, data, "classification", SMALL_NETWORK | SLOW_EPOCHS)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_killed_in_the_middle_of_an_epoch(
    tmp_path: Path, data: Path, undisturbed: dict[str, float], capfd: pytest.CaptureFixture[str]
) -> None:
    run = trial(tmp_path, data)
    reached = 0
    for _ in range(2):
        process = run.start(FOR_EVER)
        wait_for(process, f"epoch {reached + 2}:")
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
        before, reached = reached, checkpoint.decode(run.checkpoints / "checkpoint.pt")["epoch"]
        assert reached >= before + 2
    assert run.run(EPOCHS).metrics == undisturbed
    assert f"resumed after epoch {reached}" in capfd.readouterr().err


def test_told_to_stop(tmp_path: Path, data: Path, undisturbed: dict[str, float]) -> None:
    run = trial(tmp_path, data)
    process = run.start(FOR_EVER)
    wait_for(process, "epoch 3:")
    process.terminate()
    outcome = run.outcome(finish(process)[0])
    reached = checkpoint.decode(run.checkpoints / "checkpoint.pt")["epoch"]
    assert (outcome.code, outcome.message["hpo"], outcome.message["reason"]) == (75, "failure", "Interrupted")
    expected = f"stopped by SIGTERM in epoch {reached + 1}; the checkpoint of epoch {reached} stands"
    assert outcome.message["message"] == expected
    assert run.run(EPOCHS).metrics == undisturbed


def test_told_to_stop_before_training(tmp_path: Path, data: Path) -> None:
    """While the libraries are imported and the images read there is nothing to keep, but the code is the same."""
    run = trial(tmp_path, data)
    process = run.start(EPOCHS)
    while not Path(f"/proc/{process.pid}/maps").read_text().count("libtorch_cpu"):
        assert process.poll() is None
    process.terminate()
    outcome = run.outcome(finish(process)[0])
    assert (outcome.code, outcome.message["reason"]) == (75, "Interrupted")


def test_metrics_while_it_runs(tmp_path: Path, data: Path) -> None:
    run = trial(tmp_path, data)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = run.start(FOR_EVER, HPO_METRICS_HOST="127.0.0.1", HPO_METRICS_PORT=str(port))
    wait_for(process, "epoch 2:")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    process.terminate()
    assert finish(process)[0] == 75
    rows = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    samples = {name: float(value) for name, value in rows}
    names = (*metric_names(["class0", "class1", "class2"]), "validation_loss", "loss")
    assert set(samples) == {f'hpo_trial_metric{{name="{name}"}}' for name in names} | {
        "hpo_trial_resource",
        "hpo_trial_samples_per_second",
        "hpo_trial_epoch_seconds",
        "hpo_trial_host_memory_peak_bytes",
    }
    assert samples["hpo_trial_resource"] >= 2
    assert 0 <= samples['hpo_trial_metric{name="accuracy"}'] <= 1
    assert samples["hpo_trial_samples_per_second"] > 0
    assert samples["hpo_trial_epoch_seconds"] > 0
    assert samples["hpo_trial_host_memory_peak_bytes"] > 2**26


def test_a_taken_port_costs_no_trial(tmp_path: Path, data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = trial(tmp_path, data)
        process = run.start(1, HPO_METRICS_HOST="127.0.0.1", HPO_METRICS_PORT=str(port))
        code, err = finish(process)
    assert code == 0
    assert f"hpo: no /metrics at 127.0.0.1:{port}: " in err
