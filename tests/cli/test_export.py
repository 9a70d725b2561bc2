"""``hpo export`` for spreadsheets and for Optuna."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.small_study import stored
from hpo_operator.cli.main import app


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


@pytest.mark.skipif(find_spec("optuna") is not None, reason="optuna is installed here")
def test_without_optuna_a_sentence(tmp_path: Path) -> None:
    result = export(tmp_path, "--to", "optuna")
    assert (result.exit_code, "pip install optuna" in result.stderr) == (2, True)


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
