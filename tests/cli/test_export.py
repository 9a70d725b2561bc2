"""``hpo export`` for spreadsheets and for Optuna."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.small_study import stored
from hpo_operator.cli.main import app
from hpo_operator.cli.run_histories import run_histories
from hpo_operator.studies.objects import find_study
from hpo_operator.studies.stored_objects import Source
from hpo_operator.studies.typed_objects import engine_view


def export(folder: Path, *arguments: str | Path) -> Result:
    stored(folder / "small")
    return CliRunner().invoke(app, ["export", "small", "--state", str(folder), *map(str, arguments)])


def test_csv(tmp_path: Path) -> None:
    out = tmp_path / "new" / "trials.csv"
    result = export(tmp_path, "--to", "csv", "-o", out)
    assert result.exit_code == 0, result.output
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(11))
    assert rows[6]["resource"] == "9"
    assert float(rows[6]["value"]) == pytest.approx(0.78, abs=0.01)


@pytest.mark.parametrize("package", ["optuna", "mlflow", "wandb"])
def test_without_the_package_a_sentence(tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("optuna_study", "mlflow_experiment", "wandb_runs"):
        monkeypatch.delitem(sys.modules, f"hpo_operator.cli.{module}", raising=False)
    result = export(tmp_path, "--to", package)
    assert (result.exit_code, f"pip install {package}" in result.stderr) == (2, True), result.output


def test_runs_as_trackers_see_them(tmp_path: Path) -> None:
    stored(tmp_path / "small")
    histories = run_histories(engine_view(find_study(Source(tmp_path), "small")))
    assert [history.name for history in histories] == [f"small-{index}" for index in range(11)]
    best, failed = histories[6], histories[10]
    assert [step for step, _ in best.steps()] == [1, 3, 9]
    assert best.parameters.keys() == {"learningRate", "depth"}
    assert best.tags == {"phase": "Succeeded", "reason": "Completed", "rung": "2"}
    assert (failed.phase, list(failed.steps())) == ("Failed", [])


def test_optuna_reads_it(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="optuna is not installed")
    url = f"sqlite:///{tmp_path}/studies.db"
    result = export(tmp_path, "--to", "optuna", "-o", url)
    assert result.exit_code == 0, result.output
    study = optuna.load_study(study_name="small", storage=url)
    assert len(study.trials) == 11
    assert study.best_trial.number == 6
    assert study.trials[6].intermediate_values.keys() == {1, 3, 9}
    assert study.trials[10].state.name == "FAIL"
    assert study.best_params.keys() == {"learningRate", "depth"}
    assert "already" in export(tmp_path, "--to", "optuna", "-o", url).stderr


def test_mlflow_reads_it(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    out = tmp_path / "runs.db"
    result = export(tmp_path, "--to", "mlflow", "-o", out)
    assert result.exit_code == 0, result.output
    client = mlflow.tracking.MlflowClient(tracking_uri=f"sqlite:///{out}")
    experiment = client.get_experiment_by_name("small")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert len(runs) == 11
    assert {name for name, run in runs.items() if run.info.status == "FAILED"} == {"small-10"}
    curve = client.get_metric_history(runs["small-6"].info.run_id, "dice")
    assert [point.step for point in curve] == [1, 3, 9]
    assert float(runs["small-6"].data.params["learningRate"]) == pytest.approx(10**-2.05)
    assert "already" in export(tmp_path, "--to", "mlflow", "-o", out).stderr


def test_wandb_writes_offline_runs(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    result = export(tmp_path, "--to", "wandb", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out" / "wandb").glob("offline-run-*/run-*.wandb"))) == 11
