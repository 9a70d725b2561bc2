"""``hpo analyse`` on a small stored study: Hyperband with 1, 3 and 9 epochs, whose dice is known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.small_study import STUDY, dice, stored, trial
from hpo_operator.cli.main import app
from hpo_operator.local.store import ObjectStore


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["analyse", *map(str, arguments)], env={"COLUMNS": "150"})


def rows(output: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in output.splitlines()]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("state")
    stored(folder / "small")
    result = run("small", "--state", folder)
    assert result.exit_code == 0, result.output
    return result.output


def test_headline_and_best_trial(output: str) -> None:
    assert "small  11 trials, 10 measured, 1 failed" in output
    assert "Best trial: 6, dice 0.78" in output
    assert "after 9 epochs" in output
    assert ["learningRate", "0.008913"] in rows(output)


def importances_of(folder: Path, trials: int) -> str:
    """The output for a study without a fidelity, whose dice depends on the learning rate alone."""
    spec = {key: value for key, value in STUDY["spec"].items() if key != "fidelity"}
    store = ObjectStore(folder)
    store.create("study", STUDY | {"spec": spec | {"algorithm": {"sampler": {"type": "Sobol"}}}})
    for i in range(trials):
        rate = 10 ** (-4 + 3 * (i + 0.5) / trials)
        made = trial(i, (rate, 2 + i % 3), (0, dice(rate)))
        store.create("trials", made | {"spec": made["spec"] | {"resource": 0}})
    return run(folder).output


def test_importances(tmp_path: Path) -> None:
    output = importances_of(tmp_path, 20)
    shares = {row[0]: row[1:] for row in rows(output) if row[-1].endswith("%") and len(row) == 3}
    assert int(re.sub(r"\D", "", shares["learningRate"][0])) >= 95
    assert int(re.sub(r"\D", "", shares["depth"][0])) <= 2
    assert "by a model of 20 trials." in output
    assert "do not rely" not in output
    assert "Is a short run a predictor?" not in output


def test_importances_from_few_trials_are_called_into_question(tmp_path: Path) -> None:
    """Nine predict each other well, and are still fewer than five for each of two parameters."""
    assert "9 trials are few for 2 parameters: do not rely on these shares." in importances_of(tmp_path, 9)


def test_importances_that_do_not_predict_are_called_into_question(output: str) -> None:
    """As the GP sampler would, they look at the highest resource with enough trials: 3 epochs."""
    assert "by a model of 4 trials after 3 epochs" in " ".join(output.split())
    assert "That is little: do not rely on these shares." in output


def test_short_runs_predict(output: str) -> None:
    """Dice rises alike everywhere, so the four promoted trials are ranked the same after 1 and after 3 epochs."""
    assert ["1", "3", "4", "1.00", "2.04", "0.042"] in rows(output)
    assert ["3", "-", "-", "-", "-", "-"] in rows(output)
    words = " ".join(output.split())
    assert (
        "From 1 to 3 epochs: of two trials, the one ahead at first was ahead later as well in 100 % of the pairs"
        in words
    )
    assert "With 4 trials p is only a hint." in words
    assert "From 3 epochs on: too few trials went on" in words


def test_time_against_quality(output: str) -> None:
    """Trial 6 has depth 2 and is better and faster than trial 7: it stands alone."""
    start = next(i for i, row in enumerate(rows(output)) if row == ["trial", "dice", "seconds"])
    assert rows(output)[start + 1][0::2] == ["6", "60"]
    assert rows(output)[start + 2] == [""]


def test_beliefs(tmp_path: Path) -> None:
    """Dice is best at a learning rate of 0.01, 0.8, and does not depend on the depth at all."""
    output = importances_of(tmp_path, 20)
    at = next(i for i, row in enumerate(rows(output)) if row[:3] == ["parameter", "at best", "better alone"])
    rate, depth = rows(output)[at + 1 : at + 3]
    assert (rate[0], depth[0]) == ("learningRate", "depth")
    assert 0.005 <= float(rate[2]) <= 0.02
    assert abs(float(rate[3]) - 0.8) < 0.01
    assert rate[5] == "0.0001 … 0.1"
    assert rate[6][0] == "▁" and "█" in rate[6]
    assert len(set(depth[6])) == 1


def test_stop_now(tmp_path: Path) -> None:
    output = importances_of(tmp_path, 20)
    at = next(i for i, row in enumerate(rows(output)) if row[:2] == ["more trials", "expected gain"])
    gains = [[float(cell.split()[0]) for cell in row] for row in rows(output)[at + 1 : at + 5]]
    assert [row[0] for row in gains] == [1, 5, 10, 20]
    assert all(random <= model <= most < 0.02 for _, model, most, random, _ in gains)
    assert [row[4] for row in gains] == [5, 20, 33, 50]
    assert "20 more trials are" in output


def test_a_picture_of_the_beliefs(tmp_path: Path) -> None:
    importances_of(tmp_path / "study", 12)
    result = run(tmp_path / "study", "--plot", tmp_path / "new" / "beliefs.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "new" / "beliefs.png").read_bytes()[:4] == b"\x89PNG"


def test_no_picture_before_there_is_a_model(tmp_path: Path) -> None:
    ObjectStore(tmp_path).create("study", STUDY)
    result = run(tmp_path, "--plot", tmp_path / "beliefs.png")
    assert result.exit_code == 2
    assert "small: expected enough trials at one resource for a model to draw" in result.output


def test_luck(output: str) -> None:
    """10 draws: 1 - 0.99^10 = 0.096, 1 - 0.95^10 = 0.40, 1 - 0.9^10 = 0.65; 6 + 2·3 + 2·9 = 30 epochs: 3 trainings."""
    assert [row for row in rows(output) if row[0] in ("1 %", "5 %", "10 %")] == [
        ["1 %", "10 %", "299"],
        ["5 %", "40 %", "59"],
        ["10 %", "65 %", "29"],
    ]
    words = " ".join(output.split())
    assert "What this study spent, 30 epochs, would train 3 of them to 9 epochs: a chance of 14 %" in words


def test_a_folder_does_as_well_as_a_name(tmp_path: Path, output: str) -> None:
    stored(tmp_path / "elsewhere")
    assert run(tmp_path / "elsewhere").output == output


def test_the_study_file_names_the_study(tmp_path: Path, output: str) -> None:
    stored(tmp_path / "state" / "small")
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY))
    assert run(file, "--state", tmp_path / "state").output == output


def test_a_trial_that_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    store = stored(tmp_path)
    broken = store.get("trials", "small-3")
    assert broken is not None
    store.put("trials", broken | {"spec": broken["spec"] | {"parameters": {"learningRate": "fast"}}})
    result = run(tmp_path)
    assert result.exit_code == 0
    assert "small-3 is left out: spec.parameters.learningRate: expected a number, found" in result.output
    assert "10 trials, 9 measured" in result.output


def test_a_study_before_its_first_measurement(tmp_path: Path) -> None:
    ObjectStore(tmp_path).create("study", STUDY)
    result = run(tmp_path)
    assert result.exit_code == 0
    assert "Nothing was measured yet." in result.output


def test_no_study_there(tmp_path: Path) -> None:
    result = run("absent", "--state", tmp_path)
    assert result.exit_code == 2
    assert f"absent: expected the folder of a study that `hpo run` wrote, or the name of one below {tmp_path}" in (
        result.output
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"metadata": {}}'])
def test_what_is_stored_is_no_study(tmp_path: Path, text: str) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "small.json").write_text(text)
    result = run(tmp_path)
    assert result.exit_code == 2
    assert str(tmp_path) in result.output
