"""``hpo watch``, and the figures of a study in flight that it and ``hpo run`` show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from hpo_operator.cli.main import app
from hpo_operator.cli.progress import progress
from hpo_operator.cli.table import sparkline, study_view
from hpo_operator.reconcile.clock import to_text
from hpo_operator.studies.objects import StudyObjects
from local.toy_runs import NAME, ROOT, Runs, script, status, toy_study, until

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def trial(index: int, phase: str, value: float | None = None, resource: int = 9, decision: int = 0) -> dict[str, Any]:
    measured = [{"rung": 0, "resource": resource, "value": value, "decision": decision}] if value is not None else []
    failure = {"failure": {"reason": "OutOfMemory"}, "reason": "OutOfMemory"} if phase == "Failed" else {}
    return {
        "metadata": {"name": f"toy-{index}"},
        "spec": {"index": index, "study": "toy", "resource": 9, "parameters": {"x": "0.123456"}},
        "status": {"phase": phase, "measurements": measured, "objective": value, "resource": resource} | failure,
    }


def study(**spec: Any) -> dict[str, Any]:
    budget = {"trials": 20, "gpuHours": 4.0, "wallClock": "2h"}
    objective = {"metric": "dice", "direction": "Maximize"}
    return {
        "metadata": {"name": "toy"},
        "spec": {"objective": objective, "budget": budget, "fidelity": {"resource": "epochs", "max": 9}} | spec,
        "status": {
            "phase": "Running",
            "reason": "TrialsRunning",
            "message": "1 running",
            "gpuHours": 1.0,
            "startTime": to_text(START),
            "suspendedSeconds": 600.0,
        },
    }


TRIALS = (
    trial(0, "Succeeded", 0.7, decision=4),
    trial(1, "Succeeded", 0.9, decision=9),
    trial(2, "Succeeded", 0.6, decision=5),
    trial(3, "Waiting", 0.95, resource=3, decision=6),
    trial(4, "Failed", 0.99, decision=7),
    trial(5, "Running"),
)


def test_progress_is_told_from_the_objects() -> None:
    reached = progress(StudyObjects(study(), TRIALS), START + timedelta(minutes=50))
    elapsed = 40 * 60.0  # ten minutes it was suspended
    assert reached.trials.spent == 4
    assert reached.trials.seconds == pytest.approx(16 * elapsed / 4)
    assert reached.gpu_hours.seconds == pytest.approx(3 * elapsed)
    assert (reached.wall_clock.spent, reached.wall_clock.seconds) == (elapsed, 7200 - elapsed)
    assert reached.seconds_left == 7200 - elapsed  # what is spent first
    assert (reached.resource, reached.best) == (9, (0.7, 0.7, 0.9))  # in the order of the decisions; no failed one
    assert reached.failures == {"OutOfMemory": 1}


def test_nothing_is_foretold_of_a_study_that_stands_still() -> None:
    still = study()
    still["status"] |= {"phase": "Suspended", "suspendTime": to_text(START + timedelta(minutes=30))}
    reached = progress(StudyObjects(still, TRIALS), START + timedelta(days=3))
    assert (reached.seconds_left, reached.wall_clock.spent) == (None, 20 * 60.0)
    young = progress(StudyObjects({**study(), "status": {}}, ()), START)
    assert (young.seconds_left, young.best, young.failures) == (None, (), {})


def test_a_sparkline_ends_with_the_last_value() -> None:
    assert sparkline((0.0, 1.0, 7.0), 10) == "▁▂█"
    assert sparkline((3.0, 3.0), 10) == "▁▁"
    assert sparkline(tuple(map(float, range(100))), 10)[-1] == "█"
    assert len(sparkline(tuple(map(float, range(100))), 10)) == 10


def shown(found: StudyObjects, height: int | None = None, width: int = 100) -> str:
    console = Console(width=width, record=True, file=StringIO())
    console.print(study_view(found, START + timedelta(minutes=50), height))
    return console.export_text()


def test_the_view_fits_the_terminal() -> None:
    found = StudyObjects(study(), TRIALS)
    text = shown(found)
    for words in ("about 1 h 20 min left", "1/4", "40 min of 2 h", "0.7 -> 0.9   3 trials at 9 epochs"):
        assert words in text
    assert "1 OutOfMemory" in text
    many = StudyObjects(study(), tuple(trial(i, "Succeeded", 0.5, decision=i) for i in range(500)))
    assert len(shown(many, 24).splitlines()) <= 24
    assert "... and 4" in shown(many, 24)


def test_on_a_narrow_terminal_the_parameters_give_way() -> None:
    long = trial(0, "Succeeded", 0.7) | {
        "spec": {"index": 0, "resource": 9, "parameters": dict.fromkeys("abcdefghij", "0.5")}
    }
    text = shown(StudyObjects(study(), (long,)), width=60)
    assert "9/9" in text
    assert all(heading in text for heading in ("trial", "phase", "dice", "epochs"))
    assert max(map(len, text.splitlines())) <= 60


@pytest.mark.parametrize("spec", [{"constraints": [{}]}, {"secondObjective": {"metric": "seconds"}}])
def test_with_several_goals_there_is_no_best_so_far(spec: dict[str, Any]) -> None:
    assert "best so far" not in shown(StudyObjects(study(**spec), TRIALS))


def watch(runs: Runs, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hpo_operator.cli.main", "watch", NAME, "--state", str(runs.state), *arguments]
    environ = os.environ | {"PYTHONPATH": str(ROOT / "operator")}
    return subprocess.Popen(
        command, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def test_it_ends_with_the_study_that_another_process_runs(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.write(toy_study(script(0.2), trials=4))
    running = runs.start()
    until(lambda: (runs.state / NAME / "study" / f"{NAME}.json").exists(), running)
    watching = watch(runs)
    out, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (0, "")
    assert "4/4" in out
    assert "best loss" in running.communicate(timeout=60)[0]
    again = watch(runs, "--once")
    assert "Succeeded" in again.communicate(timeout=60)[0]


def test_a_failed_study_is_exit_code_1_and_ctrl_c_130(tmp_path: Path) -> None:
    failing = toy_study("raise SystemExit(3)", trials=3)
    failing["spec"]["budget"]["failedTrials"] = 0
    runs = Runs(tmp_path / "failing")
    runs.folder.mkdir()
    runs.serve(failing)
    ended = watch(runs)
    assert "1 Error" in ended.communicate(timeout=60)[0]
    assert ended.returncode == 1

    runs = Runs(tmp_path / "stopped")
    runs.folder.mkdir()
    stored = runs.serve(toy_study(script(0.0), trials=3), lambda store: len(store.all("trials")) > 1)
    assert status(stored)["phase"] == "Running"
    watching = watch(runs)
    until(lambda: _caught(watching.pid, signal.SIGTERM), watching)  # its handlers are in place
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (130, "")


def _caught(pid: int, sign: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(mask >> (sign - 1) & 1)


def test_a_picture_and_a_mistake(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.serve(toy_study(script(0.0), trials=2))
    picture = tmp_path / "toy.svg"
    done = CliRunner().invoke(app, ["watch", NAME, "--state", str(runs.state), "--picture", str(picture)])
    assert done.exit_code == 0, done.output
    assert picture.read_text().startswith("<svg")
    absent = CliRunner().invoke(app, ["watch", "absent", "--state", str(runs.state)])
    assert (absent.exit_code, "found no study/*.json" in absent.stderr) == (2, True)
