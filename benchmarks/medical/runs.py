"""Trials and studies as a cluster runs them, in processes of their own, and what they cost."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from medical import warm
from medical.data import ROOT, VOLUME, WORK

Raw = Mapping[str, Any]
ENVIRONMENT = {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'trainer-image'}"}


@dataclass(frozen=True)
class Run:
    """A finished trial; ``seconds`` by the clock, ``cpu_seconds`` of the processor, all threads together.

    The start of Python and the import of torch and MONAI are not in them, see ``warm``.
    """

    metrics: dict[str, float]
    seconds: float
    cpu_seconds: float
    folder: Path


def run_trial(task: str, config: Raw, *, seed: int, epochs: int, threads: int = 1) -> Run:
    """Train one configuration to ``epochs``, or read what that gave before. Its checkpoint stays in ``folder``.

    The name of the folder is a digest of everything asked for; delete ``.hpo/medical/trials`` to measure anew.
    """
    asked = {"task": task, "config": dict(config), "seed": seed, "epochs": epochs, "threads": threads}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    folder = WORK / "trials" / digest
    stored = folder / "run.json"
    if not stored.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "asked.json").write_text(json.dumps(asked, indent=1))
        metrics, seconds, cpu = _train(folder, task, config, seed, epochs, threads)
        stored.write_text(json.dumps({"metrics": metrics, "seconds": seconds, "cpu_seconds": cpu}))
    return Run(**json.loads(stored.read_text()), folder=folder)


def _train(
    folder: Path, task: str, config: Raw, seed: int, epochs: int, threads: int
) -> tuple[dict[str, float], float, float]:
    variables = {
        "HPO_TASK": task,
        "HPO_CONFIG": json.dumps(config),
        "HPO_PARAMETERS": "{}",
        "HPO_RESOURCE_NAME": "epochs",
        "HPO_RESOURCE": str(epochs),
        "HPO_SEED": str(seed),
        "HPO_THREADS": str(threads),
        "HPO_DATA_DIR": str(VOLUME),
        "HPO_CHECKPOINT_DIR": str(folder),
        "HPO_TERMINATION_LOG": str(folder / "message"),
    }
    cost = warm.train(variables, folder / "log")
    if not (folder / "message").exists():
        raise SystemExit(f"{folder}: the trial ended with {cost.code} and no message; see its log there")
    message = json.loads((folder / "message").read_text().splitlines()[-1])
    if message["hpo"] != "measurement":
        raise SystemExit(f"{folder}: {message['reason']}: {message['message']}")
    return message["metrics"], cost.seconds, cost.cpu_seconds


@dataclass(frozen=True)
class Study:
    """A finished ``hpo run``: its objects as they were stored, and what it cost."""

    study: dict[str, Any]
    trials: list[dict[str, Any]]
    seconds: float
    cpu_seconds: float
    state: Path

    def checkpoint_folder(self, trial: str) -> Path:
        """Where ``hpo run`` keeps the trial's folder of the claim ``checkpoints``."""
        return self.state.parent / "volumes" / "checkpoints" / str(self.study["metadata"]["uid"]) / trial

    @property
    def best(self) -> dict[str, Any]:
        """The incumbent trial's object."""
        name = self.study["status"]["best"]["trial"]
        return next(trial for trial in self.trials if trial["metadata"]["name"] == name)


def run_study(manifest: Raw) -> Study:
    """``hpo run`` of a study whose claim ``data`` is the volume, or what it gave before.

    Its name must be its own: what another manifest of that name gave is measured anew.
    """
    name = manifest["metadata"]["name"]
    state = WORK / "studies" / name
    file, cost = state.parent / f"{name}.yaml", state.parent / f"{name}.json"
    text = yaml.safe_dump(dict(manifest), sort_keys=False)
    if not cost.exists() or file.read_text() != text:
        state.parent.mkdir(parents=True, exist_ok=True)
        cost.unlink(missing_ok=True)
        file.write_text(text)
        command = [sys.executable, "-m", "hpo_operator.cli.main", "run", str(file), "--fresh"]
        with (state.parent / f"{name}.log").open("w") as log:
            options = ["--state", str(state.parent), "--volume", f"data={VOLUME}"]
            code, seconds, cpu = _timed([*command, *options], {}, log)
        if code not in (0, 1):
            raise SystemExit(f"{name}: hpo run ended with {code}; see {log.name}")
        cost.write_text(json.dumps({"seconds": seconds, "cpu_seconds": cpu}))
    study = json.loads((state / "study" / f"{name}.json").read_text())
    trials = [json.loads(path.read_text()) for path in sorted((state / "trials").glob("*.json"), key=_number)]
    return Study(study, trials, **json.loads(cost.read_text()), state=state)


def _number(path: Path) -> int:
    """Of a trial's file, ``<study>-<number>.json``."""
    return int(path.stem.rpartition("-")[2])


def _timed(command: list[str], variables: Mapping[str, str], log: Any) -> tuple[int, float, float]:
    """Exit code, seconds by the clock, and processor seconds of the process and all that it waited for.

    ``hpo run`` waits for its trials, so theirs are in it.
    """
    started = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **ENVIRONMENT, **variables}, stdout=log, stderr=log)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, time.monotonic() - started, used.ru_utime + used.ru_stime


def plain(run: Run) -> dict[str, Any]:
    """For the raw numbers of a report."""
    return {key: value for key, value in asdict(run).items() if key != "folder"}
