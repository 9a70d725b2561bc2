"""Studies for ``hpo run`` whose trials are scripts of a few lines, and what they leave behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from hpo_operator.local.run import LocalSettings, open_store, run_study
from hpo_operator.local.store import ObjectStore

Raw = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
NAME = "toy"

REPORT = """
import time
from hpo_trainer.report import checkpoint_dir, parameters, report
runs = checkpoint_dir() / "runs"
runs.write_text((runs.read_text() if runs.exists() else "") + "began\\n")
{work}
report({{"loss": (parameters()["x"] - 0.7) ** 2}})
runs.write_text(runs.read_text() + "ended\\n")
"""
"""Notes each run in the trial's folder, so that a test can count them."""


def script(seconds: float = 0.0, work: str | None = None) -> str:
    """``work``: a line of Python in place of sleeping."""
    return REPORT.format(work=work or f"time.sleep({seconds})")


def toy_study(program: str, trials: int = 3, parallelism: int = 1, **spec: Any) -> Raw:
    container = {"name": "trainer", "image": "toy", "command": ["python", "-c", program.replace("$(", "$$(")]}
    return {
        "apiVersion": "hpo.study/v1alpha1",
        "kind": "HPOStudy",
        "metadata": {"name": NAME},
        "spec": {
            "objective": {"metric": "loss", "direction": "Minimize"},
            "parameters": [{"name": "x", "float": {"min": -2.0, "max": 2.0}}],
            "algorithm": {"sampler": {"type": "Sobol"}},
            "budget": {"trials": trials, "parallelism": parallelism},
            "trainer": {
                "podTemplate": {"spec": {"containers": [container]}},
                "checkpoints": {"claimName": "work"},
                "terminationGracePeriodSeconds": 5,
            },
        }
        | spec,
    }


class Runs:
    """The state folder of one test, served by ``hpo run`` in this process or in one of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.file = folder / "study.yaml"

    def write(self, study: Raw) -> None:
        self.file.write_text(yaml.safe_dump(study))

    def serve(self, study: Raw, stop_when: Callable[[ObjectStore], bool] | None = None) -> ObjectStore:
        """Serve the study in this process, to its end or until ``stop_when``; the objects as they are then."""
        settings = LocalSettings(self.state / NAME, {}, os.environ, (ROOT / "trainer-image",), sample_seconds=0.1)
        store = open_store(study, settings, fresh=False)
        asyncio.run(self._serve(store, settings, stop_when or (lambda _: False)))
        return self.stored()

    async def _serve(
        self, store: ObjectStore, settings: LocalSettings, stop_when: Callable[[ObjectStore], bool]
    ) -> None:
        stop = asyncio.Event()

        def show() -> None:
            if stop_when(store):
                stop.set()

        await asyncio.wait_for(run_study(store, NAME, settings, stop, show), timeout=60)

    def start(self) -> subprocess.Popen[str]:
        """``hpo run`` as a user starts it."""
        command = [sys.executable, "-m", "hpo_operator.cli.main", "run", str(self.file), "--state", str(self.state)]
        environ = os.environ | {"PYTHONPATH": str(ROOT / "operator"), "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen([*command, "--plain"], env=environ, text=True, start_new_session=True, **pipes)  # type: ignore[call-overload, no-any-return]

    def stored(self) -> ObjectStore:
        """The objects as they are on disk."""
        return ObjectStore(self.state / NAME)

    def runs(self) -> dict[str, list[str]]:
        """By a trial's name, what each of its runs noted."""
        return {path.parent.name: path.read_text().split() for path in self.state.glob("volumes/work/*/*/runs")}


def until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None, seconds: float = 60) -> None:
    """Poll often, as the moment matters; fails when the time is over or the process has ended."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        assert process is None or process.poll() is None, process.communicate()[0]
        time.sleep(0.005)


def status(store: ObjectStore) -> Raw:
    study = store.get("study", NAME)
    assert study is not None
    found: Raw = study.get("status") or {}
    return found


def results(store: ObjectStore) -> dict[int, tuple[str, list[float]]]:
    """By a trial's number: its parameter and what was measured."""
    return {
        trial["spec"]["index"]: (
            trial["spec"]["parameters"]["x"],
            [m["value"] for m in trial.get("status", {}).get("measurements", [])],
        )
        for trial in sorted(store.all("trials"), key=lambda trial: int(trial["spec"]["index"]))
    }
