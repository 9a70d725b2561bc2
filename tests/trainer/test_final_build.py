"""From trained trials to a final model: predictions, figures, looks, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from trainer.final_support import OBJECTIVES, Finished, finished

TASKS = ("classification", "transferClassification", "segmentation", "templateDeformation", "transferSegmentation")


@pytest.fixture(scope="module", params=TASKS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Predicted and built, with an ensemble in which the best counts twice."""
    study = finished(tmp_path_factory.mktemp(request.param), request.param)
    assert study.predict() == 0
    best, second = study.runners
    assert study.build({best: 2, second: 1}) == 0
    return study


def test_the_figures_are_those_that_the_trial_reported(made: Finished) -> None:
    single = made.figures()["validation"]["single"]
    reported = made.metrics[next(iter(made.runners))]
    names = [name for name in single if name in reported]
    assert len(names) >= 3
    if any(made.figures()["largestPiece"]["single"]):  # which is only done where it makes the masks better
        assert single["dice"]["value"] > reported["dice"]
        return
    for name in names:
        assert single[name]["value"] == pytest.approx(reported[name], abs=1e-6), name


def test_the_ensemble_is_the_weighted_mean(made: Finished) -> None:
    """By hand from the stored predictions, for images; for volumes by the mask of the mean."""
    best, second = (made.stored(trial) for trial in made.runners)
    with np.load(made.folder / "predictions/truth.npz") as truth:
        labels = [truth[f"t{i}"] for i in range(len(best))]
    figures = made.figures()["validation"]["ensemble"]
    mean = [(2 * a.astype(float) + b) / 3 for a, b in zip(best, second, strict=True)]
    if made.task in OBJECTIVES:
        right = mean[0].argmax(1) == labels[0]
        assert figures["accuracy"]["value"] == pytest.approx(right.mean())
        return
    predicted = [part.argmax(1) for part in mean]
    rim = [
        2 * ((p == 1) & (t == 1)).sum() / ((p == 1).sum() + (t == 1).sum())
        for p, t in zip(predicted, labels, strict=True)
    ]
    assert figures["dice_rim"]["value"] == pytest.approx(np.mean(rim), abs=0.02)  # stored in 255ths


def test_nothing_of_the_test_side_is_in_what_is_chosen_from(made: Finished) -> None:
    with np.load(made.folder / "predictions/truth.npz") as truth:
        rows = {name: len(truth[name]) for name in truth.files}
    if made.task in OBJECTIVES:
        assert rows == {"t0": 9, "u0": 9}  # the validation images
    else:
        assert rows == {f"{letter}{i}": 20 * 24 * (9 + i) for i in (0, 1) for letter in "tu"}  # two validation volumes


def test_the_test_side_is_judged_once_and_the_look_written_down(made: Finished) -> None:
    test = made.figures()["test"]
    assert test["look"] == 1
    assert test["units"] == (3 if made.task in OBJECTIVES else 2)  # patients; volumes
    assert test["sharedPatients"] == []
    [look] = json.loads(made.looks.read_text())
    assert look["digest"] == test["digest"]
    assert look["study"] == "tiny"
    assert look["figures"]["single"] == test["single"]
    assert "Look" not in made.card()


def test_every_case_has_its_row(made: Finished) -> None:
    with (made.out / "test_single.csv").open() as file:
        rows = list(csv.DictReader(file))
    if made.task in OBJECTIVES:
        assert [row["image"] for row in rows[:3]] == ["class0/009.png", "class0/010.png", "class0/011.png"]
        assert [row["patient"] for row in rows[:3]] == ["p0-3"] * 3
        correct = np.mean([row["truth"] == row["predicted"] for row in rows])
        assert made.figures()["test"]["single"]["accuracy"]["value"] == pytest.approx(correct)
    else:
        assert [row["case"] for row in rows] == ["case_5", "case_6"]
        mean = np.mean([float(row["dice_rim"]) for row in rows])
        assert made.figures()["test"]["single"]["dice_rim"]["value"] == pytest.approx(mean)


def test_what_is_handed_over(made: Finished) -> None:
    files = {str(path.relative_to(made.out)) for path in made.out.rglob("*") if path.is_file()}
    expected = {"model_card.md", "figures.json", "models/model.pt", "pictures/learning_curves.png"}
    assert files >= expected | {f"models/{trial}.checkpoint.pt" for trial in made.runners}
    assert files >= {"pictures/validation_images.png", "validation_ensemble.csv", "test_ensemble.csv"}
    if made.task in OBJECTIVES:
        assert files >= {"pictures/test_confusion.png", "pictures/validation_confusion.png"}


def test_the_card_tells_a_reader_what_it_is(made: Finished) -> None:
    card = made.card()
    best, second = made.runners
    for text in (f"trial `{best}`", f"{best} × 2, {second} × 1", "0.0001 to 0.1, logarithmic", "when optimizer is SGD"):
        assert text in card
    assert "specification dddddddddddddddd" in card
    for name in ("On the test images", "On the validation images", "Limits", "Versions"):
        assert f"## {name}" in card


# --- one task is enough for the rest


@pytest.fixture
def study(tmp_path: Path) -> Finished:
    return finished(tmp_path, "classification", trials=1)


def test_a_second_look_is_counted_and_said(study: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        assert study.build({"tiny-0": 1}) == 0
        assert study.figures()["test"]["look"] == number
    assert "**Look 2 at this test set: its figures are optimistic.**" in study.card()
    assert "look 2 at this test set: its figures are optimistic" in capsys.readouterr().out
    assert len(json.loads(study.looks.read_text())) == 2


def test_other_test_images_have_not_been_looked_at(study: Finished) -> None:
    study.looks.write_text(json.dumps([{"digest": "another", "study": "tiny"}]))
    assert study.build({"tiny-0": 1}) == 0
    assert study.figures()["test"]["look"] == 1


def test_without_a_look_none_is_taken(study: Finished) -> None:
    assert study.build({"tiny-0": 1}, looks=False) == 0
    assert study.figures()["test"] is None
    assert not study.looks.exists()
    assert "Not judged: it was not asked for (--no-test)" in study.card()


def test_no_test_side_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = finished(tmp_path, "classification", {"splitFile": ""}, trials=1)
    assert study.build({"tiny-0": 1}) == 0
    assert study.figures()["test"] is None
    assert "hpo data split" in capsys.readouterr().out
    assert not study.looks.exists()


def test_patients_on_two_sides_are_told(study: Finished) -> None:
    table = study.data / "splits.csv"
    table.write_text(table.read_text().replace("009.png,p0-3,test", "009.png,p0-1,test"))
    assert study.build({"tiny-0": 1}) == 0
    assert study.figures()["test"]["sharedPatients"] == ["p0-1"]
    assert "**1 of its patients were trained or validated on, too: the figures are optimistic.**" in study.card()


def test_one_model_is_no_ensemble(study: Finished) -> None:
    assert study.build({"tiny-0": 3}) == 0
    assert set(study.figures()["validation"]) == {"units", "single"}
    assert not (study.out / "validation_ensemble.csv").exists()


def test_a_data_set_that_has_changed_is_refused(study: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    table = study.data / "splits.csv"
    table.write_text(table.read_text().replace("class0,009.png,p0-3,test", "class0,009.png,p0-3,val"))
    assert study.predict() == 65
    said = capsys.readouterr().err
    assert f"{study.data}: has changed since tiny-0 was trained: validation has gained class0/009.png" in said
    assert study.build({"tiny-0": 1}) == 65
    assert not study.out.exists()
    assert not study.looks.exists()


def test_no_checkpoint_is_a_sentence(study: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.predict(checkpoint=str(study.folder / "nowhere")) == 78
    assert f"tiny-0 has no checkpoint in {study.folder}/nowhere" in capsys.readouterr().err


def test_a_checkpoint_of_another_epoch(study: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.predict(resource=5) == 65
    assert "tiny-0 was measured at epoch 5, its checkpoints are of [1]" in capsys.readouterr().err
    assert study.runners["tiny-0"].run(2, HPO_SEED="0").code == 0
    assert study.predict(resource=1) == 0  # the one before


def test_a_torn_checkpoint(study: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    path = study.runners["tiny-0"].checkpoints / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100])
    assert study.predict() == 65
    assert "incomplete or damaged" in capsys.readouterr().err


def test_trials_with_other_validation_images_cannot_be_combined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = finished(tmp_path, "segmentation")
    document = json.loads((study.data / "splits_final.json").read_text())
    second = [*document, {"train": ["case_0", "case_1", "case_3"], "val": ["case_2", "case_4"]}]
    (study.data / "splits_final.json").write_text(json.dumps(second))
    trial = list(study.runners)[1]
    runner = study.runners[trial]
    runner.environment["HPO_CONFIG"] = json.dumps(json.loads(runner.environment["HPO_CONFIG"]) | {"fold": 1})
    assert runner.run(1, HPO_SEED="5").code == 0
    assert study.predict() == 65
    assert f"{trial} was judged on other images" in capsys.readouterr().err


def test_a_record_of_looks_that_is_none(study: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    study.looks.write_text("{")
    assert study.build({"tiny-0": 1}) == 65
    assert f"{study.looks}: expected a list of looks" in capsys.readouterr().err


def test_the_card_counts_what_was_judged(study: Finished) -> None:
    assert study.build({"tiny-0": 1}) == 0
    assert "3 patients, whose images no trial has read" in study.card()
    assert "- Judged on 3 patients only" in study.card()
    table = study.data / "splits.csv"
    table.write_text(table.read_text().replace("class,file,patient,split", "class,file,person,split"))
    assert study.build({"tiny-0": 1}, looks=False) == 0
    assert "9 images, on whose images the trials" in study.card()
    assert "- The patients are not known" in study.card()
