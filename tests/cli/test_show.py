"""``hpo list``, ``show``, ``trials``, ``best``, ``logs`` on a toy study that really ran: one of four trials fails."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from hpo_operator.cli.main import app
from hpo_operator.local.store import ObjectStore
from hpo_operator.studies.study_file import yaml_text
from local.toy_runs import NAME, Runs, toy_study, until

PROGRAM = """
import sys
from hpo_trainer.report import parameters, report
x = parameters()["x"]
print("x is", x, flush=True)
if x > 1:
    sys.exit(3)
report({"loss": (x - 0.7) ** 2, "seconds_ago": 1.5})
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    runs = Runs(tmp_path_factory.mktemp("toy"))
    study = toy_study(PROGRAM, trials=4, parallelism=2)
    runs.write(study)
    runs.serve(study)
    return runs


def hpo(runs: Runs, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--state", str(runs.state)])


def said(runs: Runs, *arguments: str | Path) -> str:
    result = hpo(runs, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def stored(runs: Runs) -> tuple[dict[str, float], list[str]]:
    """Values of the measured trials and the names of the failed ones, from the objects themselves."""
    trials = ObjectStore(runs.state / NAME).all("trials")
    values = {t["metadata"]["name"]: m[-1]["value"] for t in trials if (m := t["status"].get("measurements"))}
    return values, [t["metadata"]["name"] for t in trials if t["status"]["phase"] == "Failed"]


def test_list(runs: Runs) -> None:
    (study,) = json.loads(said(runs, "list", "-o", "json"))
    values, failed = stored(runs)
    assert (study["study"], study["phase"], study["progress"]) == (NAME, "Succeeded", "4/4")
    assert study["best"] == pytest.approx(min(values.values()), rel=1e-5)
    assert study["failed"] == len(failed) == 1
    assert said(runs, "list").splitlines()[0].split()[:3] == ["STUDY", "PHASE", "ALGORITHM"]


def test_an_empty_state_folder_is_no_mistake(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["list", "--state", str(tmp_path)])
    assert result.exit_code == 0
    assert "hpo run" in result.stderr


def test_show_tells_what_a_file_and_a_name_tell(runs: Runs) -> None:
    shown = said(runs, "show", NAME)
    values, _ = stored(runs)
    best = min(values, key=lambda name: values[name])
    assert f"best: loss {values[best]:.6g}, by {best}" in shown
    assert "Succeeded: " in shown
    assert "trials: 4/4 ended (3 succeeded, 1 failed)" in shown
    assert said(runs, "show", runs.file) == shown


def test_trials_are_sorted_with_the_best_first_and_failed_ones_last(runs: Runs) -> None:
    values, failed = stored(runs)
    listed = list(csv.DictReader(io.StringIO(said(runs, "trials", NAME, "--sort", "value", "-o", "csv"))))
    assert [row["trial"] for row in listed] == [*sorted(values, key=lambda name: values[name]), *failed]
    assert {row["trial"]: float(row["value"]) for row in listed if row["value"]} == values
    assert all(-2 <= float(row["parameters.x"]) <= 2 for row in listed)
    assert listed[0]["metrics.seconds_ago"] == "1.5"


def test_trials_are_filtered(runs: Runs) -> None:
    (record,) = yaml.safe_load(said(runs, "trials", NAME, "--filter", "failed", "-o", "yaml"))
    assert record["trial"] == stored(runs)[1][0]
    assert record["value"] is None
    assert len(said(runs, "trials", NAME, "--filter", "failed").splitlines()) == 2


def test_best_for_people_programs_and_shells(runs: Runs) -> None:
    incumbent = json.loads(said(runs, "best", NAME, "-o", "json"))
    assert yaml.safe_load(said(runs, "best", NAME)) == incumbent
    assert said(runs, "best", NAME, "-o", "params") == f"x={incumbent['parameters']['x']}\n"


def test_logs(runs: Runs) -> None:
    (failed,) = stored(runs)[1]
    trial = ObjectStore(runs.state / NAME).get("trials", failed)
    assert trial is not None
    assert said(runs, "logs", failed) == f"x is {float(trial['spec']['parameters']['x'])}\n"


def test_logs_are_followed_until_the_pod_has_ended(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    runs.write(toy_study("import time; print('first', flush=True); time.sleep(1); print('last')", trials=1))
    running = runs.start()
    until(lambda: any(runs.state.glob("*/processes/*/log")), running)
    assert said(runs, "logs", f"{NAME}-0", "--follow") == "first\nlast\n"
    running.communicate(timeout=60)


def test_a_file_of_objects_tells_the_same(runs: Runs, tmp_path: Path) -> None:
    store = ObjectStore(runs.state / NAME)
    file = tmp_path / "objects.yaml"
    listed = {"apiVersion": "v1", "kind": "List", "items": store.all("trials")}
    file.write_text(f"{yaml_text(store.all('study')[0])}---\n{yaml_text(listed)}")
    assert said(runs, "trials", NAME, "-f", file) == said(runs, "trials", NAME)
    assert said(runs, "show", NAME, "-f", file) == said(runs, "show", NAME)
    assert said(runs, "list", "-f", file) == said(runs, "list")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "toi"), "found no study/*.json in toi or"),
        (("trials", NAME, "--sort", "valeu"), "--sort valeu: no such field; did you mean value?"),
        (("trials", NAME, "--filter", "lost"), "--filter lost: expected one of pending, running"),
        (("logs", "toy-33"), "toy-33: no such trial in"),
        (("export", NAME, "--to", "csv", "-o", "/proc/none/a.csv"), "/proc/none/a.csv: No such file"),
    ],
)
def test_a_mistake_is_a_sentence(runs: Runs, arguments: tuple[str, ...], sentence: str) -> None:
    result = hpo(runs, *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1, 2]", "expected an object"),
        ("kind: List\nitems: [3, null]", "expected one HPOStudy a, found 0"),
        ("kind: HPOStudy\nmetadata: {name: a}\nstatus: {phase: Running}", "with metadata.name and spec"),
        ("kind: HPOStudy\nmetadata: {name: a}\nspec: {}\nstatus: {trials: many}", "a: status.trials: "),
    ],
)
def test_a_file_of_something_else_is_told(runs: Runs, tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(text)
    result = hpo(runs, "show", "a", "-f", file)
    assert (result.exit_code, sentence in result.stderr) == (2, True), result.output


def test_a_trial_that_cannot_be_read_is_left_out_and_told(runs: Runs, tmp_path: Path) -> None:
    store = ObjectStore(runs.state / NAME)
    first, *others = store.all("trials")
    file = tmp_path / "objects.yaml"
    objects = [store.all("study")[0], first | {"spec": {"study": NAME}}, *others]
    file.write_text("---\n".join(map(yaml_text, objects)))
    result = hpo(runs, "trials", NAME, "-f", file)
    assert result.exit_code == 0
    assert f"{first['metadata']['name']} is left out: spec.index" in result.stderr
    assert len(result.stdout.splitlines()) == 1 + len(others)
