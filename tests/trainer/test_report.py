"""``report.py``: usable as a copied file, and its messages as the operator reads them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from hpo_trainer.report import MESSAGE_BYTES, MetricsPage, Reporter, encode, host_memory_peak_bytes
from trainer.support import TRAINER

SCRIPT = """
import sys
from report import checkpoint_dir, data_dir, parameters, report, report_failure, resource, seed

p = parameters({"learningRate": 0.1, "norm": "batch"})
for step in range(1, (resource(2)) + 1):
    report({"accuracy": p["learningRate"] * step, "seed": seed()}, resource=step)
print(p["norm"], data_dir(), checkpoint_dir().is_dir())
if p["learningRate"] > 1:
    sys.exit(report_failure("Diverged", "the loss is NaN"))
"""


def run_script(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(TRAINER / "hpo_trainer" / "report.py", folder)
    (folder / "train.py").write_text(SCRIPT)
    command = [sys.executable, "-I", "-c", "import runpy, sys; sys.path[0:0] = ['.']; runpy.run_path('train.py')"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_copied_file_alone_runs_outside_a_study(tmp_path: Path) -> None:
    done = run_script(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "accuracy=0.1  seed=0 (resource 1)",
        "accuracy=0.2  seed=0 (resource 2)",
        "batch . True",
    ]


def test_a_copied_file_alone_takes_part_in_a_study(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = run_script(
        tmp_path,
        HPO_PARAMETERS='{"learningRate": 0.25}',
        HPO_RESOURCE_NAME="epochs",
        HPO_RESOURCE="3",
        HPO_SEED="11",
        HPO_OBJECTIVE="accuracy",
        HPO_TERMINATION_LOG=str(log),
        HPO_CHECKPOINT_DIR=str(tmp_path / "kept" / "here"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = log.read_text().splitlines()
    message = json.loads(line)
    assert message["hpo"] == "measurement"
    assert message["metrics"] == {"accuracy": 0.75, "seed": 11.0}
    assert message["resource"] == 3
    assert message["seconds"] >= 0
    assert message["peakMemoryBytes"] > 2**20
    assert (tmp_path / "kept" / "here").is_dir()


def test_a_reported_failure_replaces_the_measurement(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = run_script(tmp_path, HPO_PARAMETERS='{"learningRate": 5}', HPO_TERMINATION_LOG=str(log))
    assert done.returncode == 81
    (line,) = log.read_text().splitlines()
    assert {"hpo": "failure", "reason": "Diverged", "message": "the loss is NaN"}.items() <= json.loads(line).items()


def test_the_log_is_written_in_place(tmp_path: Path) -> None:
    """A termination log is a mounted file; a shorter line leaves nothing of a longer one behind."""
    log = tmp_path / "log"
    log.write_text("")
    inode = log.stat().st_ino
    reporter = Reporter({"HPO_TERMINATION_LOG": str(log)}, serve=False)
    reporter.report({f"metric_{i}": i / 3 for i in range(50)})
    reporter.report({"short": 1.0})
    assert log.stat().st_ino == inode
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["metrics"] == {"short": 1.0}


def test_numbers_that_json_does_not_have(tmp_path: Path) -> None:
    metrics = {"a": float("nan"), "b": float("inf"), "c": float("-inf"), "d": 1}
    line = encode({"hpo": "measurement", "metrics": metrics})
    assert json.loads(line)["metrics"] == {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": 1}


@pytest.mark.parametrize("text", ["x" * 10_000, "ü€😀" * 3000, '"\\\n' * 4000, "\udcff" * 5000, "short"])
def test_long_messages_are_cut_to_fit(text: str) -> None:
    line = encode({"hpo": "failure", "reason": "Error", "message": text, "peakMemoryBytes": 1})
    assert len(line) <= MESSAGE_BYTES
    message = json.loads(line)["message"]
    assert message == text or (len(line) > MESSAGE_BYTES * 0.9 and message.endswith("…"))


def test_of_too_many_metrics_the_objective_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {f"dice_of_structure_{i}": i / 7 for i in range(200)} | {"dice": 0.5}
    line = encode({"hpo": "measurement", "metrics": metrics}, keep="dice")
    kept = json.loads(line)["metrics"]
    assert len(line) <= MESSAGE_BYTES
    assert kept["dice"] == 0.5
    assert list(kept)[:3] == ["dice_of_structure_0", "dice_of_structure_1", "dice_of_structure_2"]
    assert f"hpo: {201 - len(kept)} metrics do not fit" in capsys.readouterr().err


def test_a_metric_must_be_a_number_and_the_objective_should_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter({"HPO_OBJECTIVE": "dice"}, serve=False)
    with pytest.raises(TypeError, match="expected a number for metric 'dice', found 'high'"):
        reporter.report({"dice": "high"})  # type: ignore[dict-item]
    reporter.report({"loss": 1.0})
    assert "the study optimises 'dice', reported are ['loss']" in capsys.readouterr().err


def test_the_page_of_live_metrics() -> None:
    page = MetricsPage("127.0.0.1", 0)
    page.update({"dice": 0.5, 'odd "name"\\': float("nan")}, 3)
    page.update({"dice": 0.75}, None)
    with urllib.request.urlopen(f"http://127.0.0.1:{page.port}/metrics", timeout=10) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = response.read().decode().splitlines()
    assert 'hpo_trial_metric{name="dice"} 0.75' in lines
    assert 'hpo_trial_metric{name="odd \\"name\\"\\\\"} NaN' in lines
    assert "hpo_trial_resource 3" in lines


def test_reports_are_served_at_the_address_of_the_trial(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = {"HPO_METRICS_HOST": "127.0.0.1", "HPO_METRICS_PORT": str(port)}
    reporter = Reporter(address, serve=True)
    for step in (1, 2):
        reporter.report({"dice": step / 4}, resource=step)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    assert {'hpo_trial_metric{name="dice"} 0.5', "hpo_trial_resource 2"} <= set(lines)
    Reporter(address, serve=True).report({"dice": 0.5})  # the port is taken: told, and no more
    assert f"hpo: no /metrics at 127.0.0.1:{port}: " in capsys.readouterr().err


def test_peak_memory_is_that_of_the_process() -> None:
    before = host_memory_peak_bytes()
    block = bytearray(64 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    assert host_memory_peak_bytes() >= max(before, 64 * 2**20)
