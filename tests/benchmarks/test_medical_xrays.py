"""The search on children's X-rays, and the study of crds/examples/07-transfer-classification.yaml, on small images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from medical import pneumonia, report, runs, trained

from hpo_trainer.config import TransferClassificationConfig
from hpo_trainer.networks.backbones import TransferNetwork
from trainer.support import REPOSITORY

EXAMPLE = REPOSITORY / "crds" / "examples" / "07-transfer-classification.yaml"
BACKBONES = ("ResNet18", "EfficientNetB0")


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bright and dark images in MedMNIST's layout. The first training image validates, too, the second is tested."""
    root = tmp_path / "data"
    root.mkdir()
    for module in (pneumonia, runs, trained):
        monkeypatch.setattr(module, "VOLUME", root)
    monkeypatch.setattr(runs, "WORK", tmp_path / "work")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for side, count in (("train", 18), ("val", 12), ("test", 10)):
        labels = np.arange(count) % 2
        images = random.normal(90 + 60 * labels[:, None, None], 40, (count, 28, 28)).clip(0, 255).astype(np.uint8)
        arrays |= {f"{side}_images": images, f"{side}_labels": labels[:, None]}
    arrays["val_images"][0], arrays["test_images"][1] = arrays["train_images"][:2]
    np.savez(root / "pneumonia.npz", **arrays)
    monkeypatch.setattr(pneumonia, "children", lambda: root / "pneumonia.npz")
    return root


def test_training_images_stand_on_no_other_side(volume: Path) -> None:
    with np.load(volume / "pneumonia.npz") as before, np.load(pneumonia.distinct_images()) as after:
        assert np.array_equal(after["train_images"], before["train_images"][2:])
        assert np.array_equal(after["train_labels"], before["train_labels"][2:])
        for name in ("val_images", "test_labels"):
            assert np.array_equal(after[name], before[name])


def test_the_search_is_judged_on_the_test_side(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = json.loads(json.dumps(pneumonia.STUDY))
    study["spec"]["fidelity"] = {"resource": "epochs", "min": 1, "max": 1}
    study["spec"]["budget"]["trials"] = 2
    study["spec"]["algorithm"] = {"sampler": {"type": "Random"}}
    monkeypatch.setattr(pneumonia, "STUDY", study)
    pneumonia.main()
    raw = json.loads((report.RESULTS / "pneumonia.json").read_text())
    assert [model["name"] for model in raw["models"]] == ["best trial", "mean of the 2 finished trials"]
    best = min(raw["trials"], key=lambda trial: float(trial["status"]["objective"]))
    measured = best["status"]["measurements"][-1]["metrics"]
    assert raw["models"][0]["validation_half"]["auc"]["value"] == pytest.approx(measured["auc"])
    accuracy = raw["models"][0]["test_chosen"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert accuracy["value"] * 10 == pytest.approx(round(accuracy["value"] * 10))  # of ten images
    page = (report.RESULTS / "pneumonia.md").read_text()
    assert "| Google AutoML Vision |" in page


@pytest.mark.long
def test_the_example_searches_backbones_with_weights_of_their_own(volume: Path) -> None:
    study = yaml.safe_load(EXAMPLE.read_text())
    spec = study["spec"]
    for parameter in spec["parameters"]:
        if parameter["name"] == "backbone":
            parameter["categorical"]["choices"] = list(BACKBONES)
    spec["fidelity"] |= {"min": 1, "max": 2}
    spec["budget"] |= {"trials": 2, "parallelism": 1}
    spec["trainer"]["transferClassification"]["imageSize"] = 32
    spec["trainer"] |= {"data": {"claimName": "data"}, "resources": {"limits": {"cpu": "1"}}}
    (volume / "weights").mkdir()
    for backbone in BACKBONES:
        network = TransferNetwork(TransferClassificationConfig(backbone=backbone, image_size=32), classes=2)
        torch.save(network.backbone.state_dict(), volume / "weights" / f"{backbone}.pt")
    done = runs.run_study(study)
    assert done.study["status"]["phase"] == "Succeeded"
    assert len(done.trials) == 2
    assert -1 <= float(done.best["status"]["objective"]) <= 1
