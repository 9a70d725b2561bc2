"""``tune``: a plain function, a generator with schedulers, failures, threads, an interrupt and going on."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hpo_operator import Mistake, StudyFailed, tune
from hpo_operator.cli.main import app
from local.toy_runs import ROOT

SPACE = {"x": (0.0, 1.0), "kind": ["a", "b"], "size": [16, 32, 64], "depth": (1, 8), "rate": (1e-4, 1e-1, "log")}
EPOCHS = {"resource": "epochs", "min": 1, "max": 9}


def bowl(parameters: dict[str, Any]) -> float:
    return float((parameters["x"] - 0.3) ** 2 + 0.1 * (parameters["kind"] == "b"))


def curve(parameters: dict[str, Any]) -> Iterator[float]:
    """What separates configurations is larger than what an epoch gains, as any rule of stopping supposes."""
    for epoch in range(1, 10):
        yield 10 * bowl(parameters | {"kind": "a"}) + 1 / epoch


def test_a_function_is_tuned() -> None:
    study = tune(bowl, SPACE, trials=20)
    assert study.best.value < 0.001
    assert study.best.value == bowl(study.best.parameters)
    assert [record["index"] for record in study.records()] == list(range(20))
    kinds = {name: type(value) for name, value in study.best.parameters.items()}
    assert kinds == {"x": float, "kind": str, "size": int, "depth": int, "rate": float}


def test_the_same_seed_tries_the_same() -> None:
    tried = [[r["parameters"] for r in tune(bowl, SPACE, trials=8, seed=s).records()] for s in (1, 1, 2)]
    assert tried[0] == tried[1] != tried[2]


def test_a_large_metric_is_sought_if_asked() -> None:
    study = tune(lambda p: {"score": -bowl(p), "other": 1.0}, SPACE, trials=15, metric="score", direction="Maximize")
    assert study.best.value > -0.01
    assert study.records()[0]["metrics"]["other"] == 1.0


@pytest.mark.parametrize("parallelism", [1, 3])
@pytest.mark.parametrize("scheduler", ["Hyperband", "ASHA", "ASHAStopping", "MedianStopping", "FreezeThaw"])
def test_a_generator_goes_on_only_where_it_is_worth_it(scheduler: str, parallelism: int) -> None:
    yielded: Counter[float] = Counter()

    def counted(parameters: dict[str, Any]) -> Iterator[float]:
        for value in curve(parameters):
            yielded[parameters["x"]] += 1
            yield value

    sampler = "GP" if scheduler == "FreezeThaw" else "Random"  # whose trials differ to the end
    plan = {"sampler": sampler, "scheduler": scheduler, "fidelity": EPOCHS, "parallelism": parallelism}
    study = tune(counted, {"x": (0.0, 1.0)}, trials=17, **plan)
    assert study.best.resource == 9
    assert sum(yielded.values()) < 17 * 9
    for record in study.records():  # none began anew: every epoch was computed once
        assert yielded[record["parameters"]["x"]] == record["resource"] or record["phase"] == "Stopped"


def test_a_function_of_two_arguments_gets_the_resource() -> None:
    asked: list[int] = []

    def subset(parameters: dict[str, Any], samples: int) -> float:
        asked.append(samples)
        return bowl(parameters) + 1 / samples

    tune(subset, SPACE, trials=9, scheduler="SuccessiveHalving", fidelity=EPOCHS | {"resource": "samples"})
    assert Counter(asked) == {1: 9, 3: 3, 9: 1}


def test_several_calls_happen_at_once() -> None:
    both = threading.Barrier(2, timeout=30)

    def meets(parameters: dict[str, Any]) -> float:
        both.wait()
        return bowl(parameters)

    assert len(tune(meets, SPACE, trials=4, parallelism=2, sampler="Random").records()) == 4


def refuses(parameters: dict[str, Any]) -> float:
    if parameters["x"] > 0.5:
        raise RuntimeError("too large")
    if parameters["x"] > 0.4:
        return math.nan
    return bowl(parameters)


def test_an_exception_fails_its_trial_and_the_search_learns() -> None:
    records = tune(refuses, SPACE, trials=24).records()
    reasons = {record["reason"] for record in records if record["parameters"]["x"] > 0.4}
    assert reasons == {"Error", "Diverged"}
    assert next(r["message"] for r in records if r["reason"] == "Error") == "RuntimeError: too large"
    late = [record["parameters"]["x"] > 0.4 for record in records[12:]]
    assert sum(late) <= 3


def test_if_all_fail_the_first_exception_is_told() -> None:
    def never(_: dict[str, Any]) -> float:
        raise ZeroDivisionError("always")

    with pytest.raises(StudyFailed, match="TooManyFailures") as raised:
        tune(never, SPACE, trials=8)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_a_generator_that_ends_early_fails() -> None:
    def short(_: dict[str, Any]) -> Iterator[float]:
        yield 1.0

    with pytest.raises(StudyFailed) as raised:
        tune(short, SPACE, trials=3, fidelity=EPOCHS)
    assert str(raised.value.__cause__) == "it yielded 1 values and was asked for 9"


def test_an_interrupt_is_gone_on_from(tmp_path: Path) -> None:
    calls: list[float] = []

    def interrupted(parameters: dict[str, Any]) -> float:
        calls.append(parameters["x"])
        if len(calls) == 5:
            raise KeyboardInterrupt
        return bowl(parameters)

    with pytest.raises(KeyboardInterrupt):
        tune(interrupted, SPACE, trials=8, folder=tmp_path / "search")
    study = tune(interrupted, SPACE, trials=8, folder=tmp_path / "search")
    assert len(calls) == 9  # the fifth once more
    assert calls[4] == calls[5]
    assert [r["parameters"] for r in study.records()] == [
        r["parameters"] for r in tune(bowl, SPACE, trials=8).records()
    ]


KILLED = """
import os, signal, sys
from hpo_operator import tune

def curve(parameters):
    for epoch in range(1, 10):
        yield (parameters["x"] - 0.3) ** 2 + 1 / epoch
        if sys.argv[1] == "die" and parameters["x"] < 0.6 and epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

study = tune(curve, {"x": (0.0, 1.0)}, trials=6, scheduler="SuccessiveHalving", parallelism=2, sampler="Sobol",
             fidelity={"resource": "epochs", "min": 1, "max": 9}, folder="search")
print(sorted((r["index"], r["resource"], r["value"]) for r in study.records()))
"""


def test_a_killed_process_is_gone_on_from(tmp_path: Path) -> None:
    def ran(folder: Path, how: str) -> subprocess.CompletedProcess[str]:
        folder.mkdir(exist_ok=True)
        command, environ = [sys.executable, "-c", KILLED, how], os.environ | {"PYTHONPATH": str(ROOT / "operator")}
        return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)

    assert ran(tmp_path / "a", "die").returncode == -9
    resumed, whole = ran(tmp_path / "a", "live"), ran(tmp_path / "b", "live")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == whole.stdout != ""


def test_a_larger_budget_goes_on(tmp_path: Path) -> None:
    tune(bowl, SPACE, trials=5, folder=tmp_path / "search")
    assert len(tune(bowl, SPACE, trials=7, folder=tmp_path / "search").records()) == 7


def test_another_space_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    tune(bowl, SPACE, trials=3, folder=tmp_path / "search")
    with pytest.raises(StudyFailed, match="ImmutableFieldChanged"):
        tune(bowl, SPACE | {"x": (0.0, 2.0)}, trials=3, folder=tmp_path / "search")


def test_the_commands_read_the_folder(tmp_path: Path) -> None:
    tune(curve, {"x": (0.0, 1.0)}, trials=9, scheduler="Hyperband", fidelity=EPOCHS, folder=tmp_path / "search")
    for command in (["show"], ["trials"], ["replay"], ["analyse"], ["report", "-o", str(tmp_path / "report.html")]):
        done = CliRunner().invoke(app, [command[0], "search", "--state", str(tmp_path), *command[1:]])
        assert done.exit_code == 0, (command, done.output)
    assert "all as recorded" in CliRunner().invoke(app, ["replay", "search", "--state", str(tmp_path)]).output


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({"x": 1.0}, r"space\['x'\]: expected \(low, high\)"),
        ({"x": (1.0, 0.0)}, r"spec.parameters\[0\].float.min: expected min < max"),
        ({"x": (0.0, 1.0, "cube")}, r"space\['x'\]"),
        ({"x": ["a", 1]}, r"space\['x'\]"),
        ({"x": (True, False)}, r"space\['x'\]"),
    ],
)
def test_a_bad_space_is_a_sentence(space: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Mistake, match=sentence):
        tune(bowl, space, trials=3)
