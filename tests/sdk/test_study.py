"""``Study`` on this machine: defined in Python, run as processes, looked at; and what importing it costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_operator import Mistake, Study, StudyFailed
from local.toy_runs import ROOT, script, toy_study

SPEC = toy_study(script())["spec"]


def made(name: str = "toy", **spec: Any) -> Study:
    given = {key: value for key, value in SPEC.items() if key != "parameters"}
    return Study(name, parameters={"x": (-2.0, 2.0)}, **(given | spec))


def test_it_is_the_same_as_its_file(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(made().to_yaml())
    assert yaml.safe_load(path.read_text())["spec"] == SPEC
    assert Study.from_file(path).manifest == made().manifest == Study.from_dict(toy_study(script())).manifest


def test_run_here(tmp_path: Path) -> None:
    shown: list[str] = []
    study = made().run(state=tmp_path, progress=lambda study: shown.append(study.status.get("phase", "")))
    assert study.status["reason"] == "TrialsCompleted"
    assert shown[-1] == "Succeeded"
    records = study.records()
    assert [record["value"] for record in records] == [(record["parameters"]["x"] - 0.7) ** 2 for record in records]
    assert study.best.value == min(record["value"] for record in records)
    loaded = Study.load(tmp_path / "toy")
    assert loaded.best == study.best
    assert loaded.manifest == study.manifest


def test_run_inside_an_event_loop(tmp_path: Path) -> None:
    """As a notebook has one."""
    import asyncio

    async def cell() -> str:
        return str(made().run(state=tmp_path).best.trial)

    assert asyncio.run(cell()).startswith("toy-")


def test_a_study_that_fails_says_so(tmp_path: Path) -> None:
    container = {"name": "trainer", "image": "toy", "command": ["python", "-c", "raise SystemExit(3)"]}
    trainer = {"podTemplate": {"spec": {"containers": [container]}}}
    with pytest.raises(StudyFailed, match=r"every trial failed|trials failed"):
        made(trainer=trainer).run(state=tmp_path)


INTERRUPTED = """
import sys
from hpo_operator import Study
study = Study.from_file(sys.argv[1])
try:
    study.run(state=sys.argv[2], progress=lambda s: print("looked", flush=True))
    print(sorted((r["index"], r["value"]) for r in study.records()))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_an_interrupt_ends_the_processes_and_the_same_call_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(toy_study(script(1.0), trials=3)))
    command = [sys.executable, "-c", INTERRUPTED, str(path), str(tmp_path / "state")]
    environ = os.environ | {"PYTHONPATH": str(ROOT / "operator")}
    first = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert first.stdout is not None
    while not list(tmp_path.glob("state/volumes/work/*/*/runs")):
        time.sleep(0.02)
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate(timeout=60)
    assert said.splitlines()[-1] == "interrupted"
    second = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert second.stdout.splitlines()[-1].count("(") == 3


def test_trials_are_a_data_frame(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    frame = made().run(state=tmp_path).trials()
    assert list(frame["index"]) == [0, 1, 2]
    assert {"parameters.x", "metrics.loss", "value", "phase"} <= set(frame.columns)


def test_without_pandas_it_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(Mistake, match="pip install pandas, or take records"):
        made().run(state=tmp_path).trials()


def test_mistakes_have_their_paths() -> None:
    with pytest.raises(Mistake, match=r"spec\.budget\.trials: expected"):
        made(budget={"trials": 0})
    with pytest.raises(Mistake, match=r"spec\.algoritm: unknown field"):
        made(algoritm={})
    with pytest.raises(Mistake, match=r"run\(\) it here, or submit\(\) it"):
        _ = made().status
    with pytest.raises(Mistake, match=r"volumes\['mri'\]: expected a directory that exists"):
        made().run(volumes={"mri": "/no/such/place"})


def test_what_ran_here_cannot_be_suspended(tmp_path: Path) -> None:
    study = made().run(state=tmp_path)
    with pytest.raises(Mistake, match="suspend: toy ran on this machine"):
        study.suspend()


def test_the_operator_pays_nothing_for_it() -> None:
    """The package's own module is imported with everything; the rest of this is not."""
    script = "import sys, hpo_operator.__main__; print(*(m for m in sys.modules if m.startswith('hpo_operator.sdk')))"
    environ = os.environ | {"PYTHONPATH": str(ROOT / "operator")}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    light = "import sys, hpo_operator; print('numpy' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", light], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
