"""``hpo replay`` and ``hpo explain`` on a study of the simulated cluster, from a folder and from kubectl's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from hpo_operator.cli.main import app
from hpo_operator.local.store import ObjectStore
from reconcile.disturbed import algorithm
from reconcile.simulation import SimulatedCluster
from reconcile.studies import made, ran

Raw = dict[str, Any]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


def stored(cluster: SimulatedCluster, folder: Path) -> None:
    """As ``hpo run`` leaves it."""
    store = ObjectStore(folder / "demo")
    store.put("study", cluster.study | {"metadata": cluster.study["metadata"] | {"creationTimestamp": "2026-03-01"}})
    for trial in cluster.trials.values():
        store.put("trials", trial)


@pytest.fixture(scope="module")
def hyperband() -> SimulatedCluster:
    return ran(made(12, 2, algorithm("GP", "Hyperband")))


@pytest.fixture
def state(hyperband: SimulatedCluster, tmp_path: Path) -> Path:
    stored(hyperband, tmp_path)
    return tmp_path


def edited(state: Path, name: str, **spec: Any) -> None:
    store = ObjectStore(state / "demo")
    trial = store.get("trials", name)
    assert trial is not None
    store.put("trials", trial | {"spec": trial["spec"] | spec})


def test_a_study_is_as_recorded(state: Path) -> None:
    result = run("replay", "demo", "--state", state)
    assert (result.exit_code, result.stdout) == (0, "12 trials, 13 decisions: all as recorded\n")


def test_the_first_difference_is_told_and_the_exit_code_is_1(hyperband: SimulatedCluster, state: Path) -> None:
    parameters = hyperband.trials["demo-7"]["spec"]["parameters"]
    edited(state, "demo-7", parameters=parameters | {"learningRate": "0.05"})
    result = run("replay", state / "demo")
    assert result.exit_code == 1
    assert result.stdout.startswith("12 trials, 13 decisions: the first difference is at decision ")
    assert f"demo-7: stored learningRate = 0.05; rebuilt: {parameters['learningRate']}\n" in result.stdout


def test_from_a_file_of_kubectl(hyperband: SimulatedCluster, tmp_path: Path) -> None:
    other = {"kind": "HPOStudy", "metadata": {"name": "other", "uid": "o"}}
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump({"kind": "List", "items": [other, hyperband.study, *hyperband.trials.values()]}))
    result = run("replay", "demo", "-f", file)
    assert (result.exit_code, result.stdout) == (0, "12 trials, 13 decisions: all as recorded\n")


def test_trials_of_before_are_told_of(hyperband: SimulatedCluster, tmp_path: Path) -> None:
    stored(hyperband, tmp_path)
    store = ObjectStore(tmp_path / "demo")
    for trial in store.all("trials"):
        status = {key: value for key, value in trial["status"].items() if key != "digest"}
        status["foundIn"], status["measurements"] = 1, []
        store.put("trials", trial | {"spec": trial["spec"] | {"steps": []}, "status": status})
    result = run("replay", "demo", "--state", tmp_path)
    assert result.stdout.splitlines()[0].startswith("demo-0, demo-1, demo-2 and 9 more: begun by no recorded decision")


def test_a_promoted_trial_is_explained(hyperband: SimulatedCluster, state: Path) -> None:
    name = hyperband.status["best"]["trial"]
    result = run("explain", name, "--state", state)
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    assert f"{name} Succeeded: Completed" in words
    assert "Known then: " in words
    assert "promoted it to 9 epochs: " in words
    assert "measured there; behind it demo-" in words
    assert f"{hyperband.trials[name]['status']['measurements'][-1]['value']:.6g} 9" in words


def test_a_prediction_is_compared_with_what_was_measured(tmp_path: Path) -> None:
    cluster = ran(made(8, 1, {"algorithm": {"sampler": {"type": "GP"}}}))
    stored(cluster, tmp_path)
    trial = cluster.trials["demo-7"]
    assert trial["spec"]["rationale"]["origin"] == "GP"
    words = " ".join(run("explain", "demo-7", "--state", tmp_path).stdout.split())
    assert "Under the Gaussian process its acquisition function was the largest: " in words
    assert "Decision 8 began it (free slots: 1). Known then: 7 trials, 7 measured, 0 failed, 0 running" in words
    measured, mean = trial["status"]["measurements"][0]["value"], trial["spec"]["rationale"]["mean"]
    assert f"Measured {measured:.4g}, expected {mean:.4g} ± " in words


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "absent"], "absent: expected the folder of a study that `hpo run` wrote"),
        (["explain", "demo-99"], "demo-99: expected a trial of demo, which has 12"),
        (["explain", "demo"], "expected the folder of a study"),
        (["replay", "demo", "-f", "absent.yaml"], "absent.yaml: No such file or directory"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(state: Path, arguments: list[str], said: str) -> None:
    result = run(*arguments, "--state", state)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_trial_that_cannot_be_read_is_named(state: Path) -> None:
    edited(state, "demo-3", parameters={"learningRate": "fast", "depth": "3"})
    result = run("replay", "demo", "--state", state)
    assert result.exit_code == 2
    assert 'hpotrial/demo-3: spec.parameters.learningRate: expected a number, found "fast"' in result.stderr
