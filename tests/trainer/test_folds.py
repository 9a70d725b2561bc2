"""The folds that a retraining takes: listed or drawn, of what trained and validated alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo_trainer.config import TaskConfig, parse
from hpo_trainer.data.folds import Fold, find_folds
from hpo_trainer.data.split import main as split
from hpo_trainer.failures import BadConfig
from trainer.final_support import labelled_images, volumes
from trainer.support import decathlon_folder, image_folder, segmentation_archive


def config(task: str, **fields: Any) -> TaskConfig:
    return parse(task, fields, {})


def sides(fold: Fold) -> tuple[set[str], set[str]]:
    return set(fold.train), set(fold.validation)


def each_validates_once(folds: tuple[Fold, ...]) -> list[str]:
    """The names in any fold, after a look that each of them validates in one fold and trains in the others."""
    names = sorted(name for fold in folds for name in fold.validation)
    assert len(set(names)) == len(names)
    for fold in folds:
        train, validation = sides(fold)
        assert train | validation == set(names)
        assert not train & validation
    return names


def test_a_folder_is_dealt_by_patient_and_without_the_test_side(tmp_path: Path) -> None:
    labelled_images(tmp_path)
    found = find_folds(tmp_path, config("classification", splitFile="splits.csv"), 3, 0)
    assert found.origin == "drawn by patient or case, seed 0"
    names = each_validates_once(found.folds)
    rows = list(csv.DictReader((tmp_path / "splits.csv").read_text().splitlines()))
    assert names == sorted(f"{r['class']}/{r['file']}" for r in rows if r["split"] != "test")
    patient = {f"{r['class']}/{r['file']}": r["patient"] for r in rows}
    for fold in found.folds:
        train, validation = ({patient[name] for name in side} for side in sides(fold))
        assert not train & validation
        assert {name[:6] for name in fold.validation} == {"class0", "class1", "class2"}


def test_test_images_are_not_even_opened(tmp_path: Path) -> None:
    labelled_images(tmp_path)
    for row in csv.DictReader((tmp_path / "splits.csv").read_text().splitlines()):
        if row["split"] == "test":
            (tmp_path / row["class"] / row["file"]).write_bytes(b"")
    assert len(find_folds(tmp_path, config("classification", splitFile="splits.csv"), 3, 0).folds) == 3


def test_more_folds_than_patients_of_a_class_are_refused(tmp_path: Path) -> None:
    labelled_images(tmp_path)
    with pytest.raises(
        BadConfig, match="--folds: expected at most 3, the patients or cases that show 'class0', found 4"
    ):
        find_folds(tmp_path, config("classification", splitFile="splits.csv"), 4, 0)


def test_columns_of_the_split_file_are_its_folds(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2, count=16)
    assert split([str(tmp_path), "--folds", "4", "--test", "0.25"]) == 0
    found = find_folds(tmp_path, config("classification", splitFile="splits.csv", splitColumn="fold2"), 9, 0)
    assert found.origin == "listed in splits.csv"
    assert [fold.fields for fold in found.folds] == [{"split_column": f"fold{k}"} for k in range(4)]
    assert len(each_validates_once(found.folds)) == 24


def test_folds_with_other_test_images_are_not_taken(tmp_path: Path) -> None:
    """A network would train on what is a test image elsewhere."""
    image_folder(tmp_path, classes=2, count=8)
    rows = ["class,file,fold0,fold1"]
    for label in range(2):
        for i in range(8):
            first, second = (("val", "train", "train", "test")[(i + k) % 4] for k in (0, 1))
            rows.append(f"class{label},{i:03}.png,{first},{second}")
    (tmp_path / "splits.csv").write_text("\n".join(rows) + "\n")
    found = find_folds(tmp_path, config("classification", splitFile="splits.csv", splitColumn="fold0"), 2, 0)
    assert found.origin.startswith("drawn")
    assert all(int(name[-7:-4]) % 4 != 3 for name in each_validates_once(found.folds))


def test_the_folds_of_nn_u_net(tmp_path: Path) -> None:
    decathlon_folder(tmp_path, cases=6)
    cases = [f"case_{i}" for i in range(4)]
    document = [{"train": [c for c in cases if c != out], "val": [out]} for out in cases]
    (tmp_path / "splits_final.json").write_text(json.dumps(document))
    for task in ("segmentation", "templateDeformation"):
        found = find_folds(tmp_path, config(task, fold=1), 2, 0)
        assert found.origin == "listed in splits_final.json"
        assert [fold.fields for fold in found.folds] == [{"fold": k} for k in range(4)]
        assert [fold.validation for fold in found.folds] == [(case,) for case in cases]


def test_a_single_listed_fold_is_dealt_anew_without_the_test_cases(tmp_path: Path) -> None:
    volumes(tmp_path)
    found = find_folds(tmp_path, config("segmentation"), 5, 0)
    assert each_validates_once(found.folds) == [f"case_{i}" for i in range(5)]
    assert find_folds(tmp_path, config("segmentation"), 5, 0) == found
    assert find_folds(tmp_path, config("segmentation"), 5, 1).origin != found.origin


def test_groups_of_an_archive_stay_together_and_those_left_out_are(tmp_path: Path) -> None:
    path = segmentation_archive(tmp_path / "discs.npz", groups=7, per_group=3)
    with np.load(path) as arrays:
        content = dict(arrays)
    content["groups"][content["groups"] == 6] = -1
    np.savez(path, **content)
    found = find_folds(tmp_path, config("segmentation", dataset="discs.npz", fold=1), 3, 0)
    assert len(each_validates_once(found.folds)) == 18
    for fold in found.folds:
        groups = [{int(name[7:-1]) // 3 for name in side} for side in sides(fold)]
        assert not groups[0] & groups[1]
        assert 6 not in groups[0] | groups[1]
