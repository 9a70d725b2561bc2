"""The best trial's configuration, trained anew on each fold, averaged, judged on the test side and handed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from medical.kills import differences

from hpo_trainer import checkpoint
from hpo_trainer.final import sides
from hpo_trainer.final.model import open_model
from hpo_trainer.final.retrained import Retrained, read_retrained
from trainer.final_support import OBJECTIVES, Finished, finished

TASKS = ("classification", "segmentation", "templateDeformation")
"""One that classifies, and two that segment, of which the latter has to be traced to be exported."""
FOLDS = 2


def build(study: Finished) -> int:
    return study.build({next(iter(study.runners)): 1}, retrained=True)


@pytest.fixture(scope="module", params=TASKS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    study = finished(tmp_path_factory.mktemp(request.param), request.param, trials=1)
    assert study.retrain(FOLDS) == 0
    assert build(study) == 0
    return study


def plan(study: Finished) -> Retrained:
    found = read_retrained(study.folder / "retrained")
    assert found is not None
    return found


def test_each_network_has_trained_on_its_fold(made: Finished) -> None:
    check_folds(made)


@pytest.mark.parametrize("task", ["transferClassification", "transferSegmentation"])
def test_and_so_have_networks_that_started_from_others(task: str, tmp_path: Path) -> None:
    study = finished(tmp_path, task, trials=1)
    assert study.retrain(FOLDS) == 0
    check_folds(study)


def check_folds(made: Finished) -> None:
    found = plan(made)
    assert found.names == ("fold0", "fold1")
    for name, fold in zip(found.names, found.folds.folds, strict=True):
        split = json.loads((made.folder / "retrained" / name / "split.json").read_text())
        assert sorted(split["train"]) == sorted(fold.train)
        assert sorted(split["validation"]) == sorted(fold.validation)
    seeds = [checkpoint.decode(made.folder / "retrained" / name / "checkpoint.pt")["seed"] for name in found.names]
    assert len(set(seeds)) == FOLDS


def test_the_model_is_the_mean_of_the_networks(made: Finished) -> None:
    """By hand, on the test images."""
    found = plan(made)
    parts: list[list[np.ndarray[Any, Any]]] = []
    for name in found.names:
        model = open_model(found.candidate(name), made.data, lambda: None)
        side = sides.test_side(model, lambda: None)
        assert side is not None
        parts.append(list(sides.predict(model, side, lambda: None)))
    mean = [np.mean(of, axis=0) for of in zip(*parts, strict=True)]
    figures = made.figures()["test"]["retrained"]
    if made.task in OBJECTIVES:
        rows = (made.out / "test_retrained.csv").read_text().splitlines()[1:]
        written = np.array([[float(p) for p in row.split(",")[4:]] for row in rows])
        assert np.allclose(written, mean[0], atol=1e-6)
    elif not made.figures()["largestPiece"]["retrained"]:
        predicted = [part.argmax(1) for part in mean]
        truth = [np.stack([s.mask.numpy() for s in case.samples]) for case in side.cases]  # type: ignore[union-attr]
        rim = [
            2 * ((p == 1) & (t == 1)).sum() / ((p == 1).sum() + (t == 1).sum())
            for p, t in zip(predicted, truth, strict=True)
        ]
        assert figures["dice_rim"]["value"] == pytest.approx(np.mean(rim))


def test_it_is_judged_once_beside_the_best_trial(made: Finished) -> None:
    figures = made.figures()
    assert list(figures["validation"]) == ["units", "single"]  # on which it has trained
    assert list(figures["test"])[4:] == ["single", "retrained", "retrained - single"]
    metric = OBJECTIVES.get(made.task, "dice")
    of = {name: figures["test"][name][metric]["value"] for name in ("single", "retrained", "retrained - single")}
    assert of["retrained - single"] == pytest.approx(of["retrained"] - of["single"])
    [look] = json.loads(made.looks.read_text())
    assert look["judged"]["retrained"] == {"fold0": 1, "fold1": 1}


def test_the_card_tells_it(made: Finished) -> None:
    card, metric = made.card(), OBJECTIVES.get(made.task, "dice")
    assert "retrained: the mean of 2 networks, one for each fold" in card
    assert "## Retrained on all folds" in card
    assert f"| network | train | validation | {metric} |" in card
    assert "| figure | best trial | retrained | retrained - best trial |" in card
    retrained = made.figures()["retrained"]
    for name, fold in zip(("fold0", "fold1"), retrained["folds"], strict=True):
        state = checkpoint.decode(made.folder / "retrained" / name / "checkpoint.pt")
        assert fold["value"] == state["history"][1][metric]
    assert (made.out / "folds.json").read_bytes() == (made.folder / "retrained/folds.json").read_bytes()


def test_the_mean_is_what_is_exported(made: Finished) -> None:
    """On test images, which no network has seen."""
    found = plan(made)
    with pytest.deprecated_call():
        module = torch.jit.load(str(made.out / "models/model.ts"))
    models = [open_model(found.candidate(name), made.data, lambda: None) for name in found.names]
    weights = torch.load(made.out / "models/model.pt", weights_only=True)
    assert {name.split(".")[0] for name in weights} == {"fold0", "fold1"}
    seen: list[Any] = [sides.test_side(model, lambda: None) for model in models]
    parts = [next(sides.predict(model, side, lambda: None)) for model, side in zip(models, seen, strict=True)]
    if made.task in OBJECTIVES:
        data: Any = models[0].learner.data
        images = seen[0].images.images * data.deviation + data.mean
    else:
        images = seen[0].cases[0].samples[0].image[None]  # a network that had to be traced takes one at a time
    with torch.inference_mode():
        assert np.allclose(module(images).softmax(1).numpy(), np.mean(parts, axis=0)[: len(images)], atol=1e-5)


# --- one task is enough for the rest


@pytest.fixture
def study(tmp_path: Path) -> Finished:
    return finished(tmp_path, "classification", trials=1)


def test_a_killed_retraining_goes_on(study: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with what an undisturbed one ends with, and trains no fold twice."""
    assert study.retrain(2) == 0
    folder = study.folder / "retrained"
    undisturbed = [checkpoint.decode(folder / f"fold{k}/checkpoint.pt") for k in (0, 1)]
    for path in (folder / "fold1").iterdir():
        path.unlink()
    capsys.readouterr()
    assert study.retrain(2) == 0
    said = capsys.readouterr().err
    assert said.count("hpo: epoch 1:") == 1
    assert "resumed after epoch 1" in said
    assert "fold 2 of 2: accuracy" in said
    again = [checkpoint.decode(folder / f"fold{k}/checkpoint.pt") for k in (0, 1)]
    assert list(differences(undisturbed, again)) == []


def test_other_folds_than_those_written_down(study: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.retrain(2) == 0
    assert study.retrain(3) == 78
    folder = study.folder / "retrained"
    assert f"--folds: expected 2, as in {folder}; remove that folder to draw others" in capsys.readouterr().err


def test_data_that_has_lost_an_image_of_a_fold(study: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.retrain(2) == 0
    table = study.data / "splits.csv"
    table.write_text(table.read_text().replace("class1,002.png,p1-0,train\n", ""))
    (study.data / "class1/002.png").unlink()
    assert study.retrain(2) == 65
    said = capsys.readouterr().err
    assert f"{study.folder}/retrained/folds.json: lists 'class1/002.png', which is not in the data set" in said


def test_without_a_look_there_is_no_figure_and_the_card_says_so(study: Finished) -> None:
    assert study.retrain(2) == 0
    assert study.build({"tiny-0": 1}, looks=False, retrained=True) == 0
    assert "- The retrained model, which is handed over, has no figure at all." in study.card()
    assert (study.out / "models/fold1.checkpoint.pt").exists()
