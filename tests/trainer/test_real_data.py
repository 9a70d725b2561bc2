"""A few real images of others, kept beside the project: that files from the wild are read and learnt from."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from trainer.support import TrialRunner, data_of_others, extract


def test_mednist(tmp_path: Path) -> None:
    archive, listing = data_of_others("mednist/MedNIST_subset_12000_jpeg.tar.xz"), data_of_others("mednist/splits.csv")
    with listing.open(newline="") as lines:
        rows = [row for i, row in enumerate(csv.DictReader(lines)) if i % 20 == 0]
    wanted = {f"MedNIST/{row['class']}/{row['file']}" for row in rows}
    extract(archive, tmp_path, wanted.__contains__)
    with (tmp_path / "MedNIST" / "splits.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    config = {
        "dataset": "MedNIST",
        "splitFile": "splits.csv",
        "splitColumn": "split_block",
        "blocks": 3,
        "filters": 16,
        "denseUnits": [64],
        "learningRate": 0.01,
    }
    outcome = TrialRunner(tmp_path / "run", tmp_path, "classification", config).run(4)
    assert outcome.code == 0
    assert outcome.metrics["accuracy"] > 0.8


@pytest.mark.parametrize(("dimensions", "epochs"), [("2D", 3), ("3D", 30)])
def test_hippocampus(tmp_path: Path, dimensions: str, epochs: int) -> None:
    archive = data_of_others("hippocampus/Task04_Hippocampus_260.tar")
    extract(archive, tmp_path, lambda name: name.endswith(".json") or name.rsplit("_", 1)[-1][:2] in ("00", "01"))
    folder = tmp_path / "Task04_Hippocampus"
    document = json.loads((folder / "dataset.json").read_text())
    document["training"] = [pair for pair in document["training"] if (folder / pair["image"]).exists()]
    (folder / "dataset.json").write_text(json.dumps(document))
    names = {Path(pair["image"]).name.removesuffix(".nii.gz") for pair in document["training"]}
    folds = json.loads((folder / "splits_final.json").read_text())
    here = [{side: sorted(names & set(fold[side])) for side in ("train", "val")} for fold in folds]
    (folder / "splits_final.json").write_text(json.dumps(here))
    config = {"dataset": folder.name, "dimensions": dimensions, "channels": 8, "learningRate": 0.01, "batchSize": 2}
    outcome = TrialRunner(tmp_path / "run", tmp_path, "segmentation", config).run(epochs)
    shutil.rmtree(folder)
    assert outcome.code == 0
    assert set(outcome.metrics) >= {"dice", "dice_Anterior", "dice_Posterior"}
    assert outcome.metrics["dice"] > 0.4
