"""The search for body regions: its studies are valid, the ten best are the ten best, and their average is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from medical import field_of_view, trained
from medical.field_of_view import SEARCHES, SEEDS, Judged, Predictions, judged, manifest, ranked
from medical.runs import Study

from hpo_operator.api.parse import parse_study
from trainer.support import SMALL_NETWORK, TrialRunner, image_folder


@pytest.mark.parametrize("search", SEARCHES)
def test_manifests_are_valid_and_have_names_of_their_own(search: str) -> None:
    assert parse_study(manifest(search, 1)).spec.seed == 1
    names = {manifest(other, seed)["metadata"]["name"] for other in SEARCHES for seed in SEEDS}
    assert len(names) == len(SEARCHES) * len(SEEDS)


def test_probabilities_are_averaged() -> None:
    truth = torch.tensor([0, 1]), torch.tensor([1, 0])
    sure = Predictions(torch.tensor([[0.9, 0.1], [0.6, 0.4]]), torch.tensor([[0.9, 0.1], [0.9, 0.1]]), truth)
    unsure = Predictions(torch.tensor([[0.4, 0.6], [0.1, 0.9]]), torch.tensor([[0.2, 0.8], [0.2, 0.8]]), truth)
    assert judged([sure]) == Judged(1, 1)
    assert judged([unsure]) == Judged(1, 1)
    assert judged([sure, unsure]) == Judged(0, 1)


def test_a_stored_network_predicts_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its errors on the validation side are those that its trial measured."""
    monkeypatch.setattr(trained, "VOLUME", tmp_path)
    files = sorted(image_folder(tmp_path / "images").glob("*/*.png"))
    sides = ("train", "train", "val", "test")
    rows = [f"{file.parent.name},{file.name},{sides[i % 4]}" for i, file in enumerate(files)]
    (tmp_path / "images" / "splits.csv").write_text("\n".join(["class,file,split", *rows]))
    config = SMALL_NETWORK | {"dataset": "images", "splitFile": "splits.csv"}
    run = TrialRunner(tmp_path / "run", tmp_path, "classification", config)
    errors = run.run(2).metrics["errors"]
    found = field_of_view.predictions(run.checkpoints)
    assert (found.validation.shape, found.test.shape) == ((9, 3), (9, 3))
    assert judged([found]).validation == errors
    assert found.test.sum(1).tolist() == pytest.approx([1] * 9)


def trial(name: str, *errors: float) -> dict[str, Any]:
    measurements = [{"metrics": {"errors": count, "validation_loss": count / 100}} for count in errors]
    return {"metadata": {"name": name}, "status": {"measurements": measurements}}


def test_trials_are_ranked_by_their_last_measurement(tmp_path: Path) -> None:
    trials = [trial("s-0", 50, 40), trial("s-1"), trial("s-2", 10, 60), trial("s-3", 30), {"metadata": {"name": "s-4"}}]
    study = Study({"metadata": {"uid": "u"}}, trials, 1.0, 1.0, tmp_path / "s")
    assert ranked(study) == [tmp_path / "volumes" / "checkpoints" / "u" / name for name in ("s-3", "s-0", "s-2")]
