"""Layouts of labelled images: what is read, who validates, and what is said about broken data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hpo_trainer.config import ClassificationConfig, parse
from hpo_trainer.data.classification import ClassificationData, load
from hpo_trainer.failures import BadConfig, BadData, TrainerError
from trainer.support import image_folder


def read(root: Path, **config: Any) -> ClassificationData:
    parsed = parse("classification", {"imageSize": 8, "blocks": 1, **config}, {})
    assert isinstance(parsed, ClassificationConfig)
    return load(root, parsed, lambda: None)


def medmnist(path: Path, **replaced: Any) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for side, count in (("train", 8), ("val", 4), ("test", 4)):
        arrays[f"{side}_images"] = rng.integers(0, 255, (count, 8, 8), dtype=np.uint8)
        arrays[f"{side}_labels"] = (np.arange(count) % 2)[:, None].astype(np.uint8)
    np.savez(path, **{name: value for name, value in (arrays | replaced).items() if value is not None})
    return path


def test_a_folder_is_split_in_blocks_and_standardised_by_its_training_images(tmp_path: Path) -> None:
    data = read(image_folder(tmp_path, count=8))
    assert data.classes == ("class0", "class1", "class2")
    assert data.train.images.shape == (18, 1, 8, 8)
    assert torch.bincount(data.validation.labels).tolist() == [2, 2, 2]
    assert abs(float(data.train.images.mean())) < 1e-5
    assert float(data.train.images.std(correction=0)) == pytest.approx(1, abs=1e-4)
    whole = read(tmp_path, validationFraction=0.01)
    assert torch.bincount(whole.validation.labels).tolist() == [1, 1, 1]


def test_a_split_file_decides_and_its_test_images_are_never_opened(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2, count=4)
    for label in (0, 1):
        (tmp_path / f"class{label}" / "003.png").write_bytes(b"broken")
    rows = [f"class{c},00{i}.png,{s}" for c in (0, 1) for i, s in enumerate(("train", "val", "train", "test"))]
    (tmp_path / "splits.csv").write_text("\n".join(["class,file,mine", *rows]))
    data = read(tmp_path, splitFile="splits.csv", splitColumn="mine")
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert data.validation.labels.tolist() == [0, 1]


def test_few_images_per_class_leave_the_validation_as_it_is(tmp_path: Path) -> None:
    image_folder(tmp_path, count=8)
    few, all_of = read(tmp_path, trainSamplesPerClass=2), read(tmp_path)
    assert torch.bincount(few.train.labels).tolist() == [2, 2, 2]
    assert few.validation.labels.tolist() == all_of.validation.labels.tolist()
    assert few.fingerprint != all_of.fingerprint


def test_medmnist_archives(tmp_path: Path) -> None:
    data = read(tmp_path, dataset=medmnist(tmp_path / "a.npz").name)
    assert (len(data.train.labels), len(data.validation.labels), data.classes) == (8, 4, ("0", "1"))
    colour = np.random.default_rng(0).integers(0, 255, (8, 8, 8, 3), dtype=np.uint8)
    medmnist(tmp_path / "rgb.npz", train_images=colour)
    assert read(tmp_path, dataset="rgb.npz").train.images.shape == (8, 1, 8, 8)


def test_wide_integers_are_taken_as_they_are(tmp_path: Path) -> None:
    with np.load(medmnist(tmp_path / "a.npz")) as archive:
        wide = archive["train_images"].astype(np.int64)
    medmnist(tmp_path / "wide.npz", train_images=wide)
    narrow = read(tmp_path, dataset="a.npz").train.images
    torch.testing.assert_close(read(tmp_path, dataset="wide.npz").train.images, narrow, atol=1e-5, rtol=1e-5)


def test_grouped_archives_keep_patients_together(tmp_path: Path) -> None:
    labels = np.repeat([0, 1], 20)
    patients = np.arange(40) // 4
    marked = np.broadcast_to(patients[:, None, None], (40, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=marked, labels=labels, groups=patients, classes=np.array(["ill", "well"]))
    data = read(tmp_path, dataset="a.npz")
    sides = [{round(float(v), 3) for v in part.images[:, 0, 0, 0]} for part in (data.train, data.validation)]
    assert data.classes == ("ill", "well")
    assert not sides[0] & sides[1]
    assert torch.bincount(data.validation.labels).tolist() == [4, 4]


def test_the_fingerprint_is_of_the_pixels(tmp_path: Path) -> None:
    medmnist(tmp_path / "a.npz")
    before = read(tmp_path, dataset="a.npz").fingerprint
    assert before == read(tmp_path, dataset="a.npz").fingerprint
    with np.load(tmp_path / "a.npz") as archive:
        images = archive["train_images"].copy()
    images[3, 4, 4] ^= 1
    medmnist(tmp_path / "a.npz", train_images=images)
    assert before != read(tmp_path, dataset="a.npz").fingerprint


def _splits(*lines: str, header: str = "class,file,split") -> Callable[[Path], dict[str, Any]]:
    def prepare(root: Path) -> dict[str, Any]:
        image_folder(root, classes=2, count=3)
        (root / "s.csv").write_text("\n".join([header, *lines]))
        return {"splitFile": "s.csv"}

    return prepare


def _archive(**replaced: Any) -> Callable[[Path], dict[str, Any]]:
    return lambda root: {"dataset": medmnist(root / "a.npz", **replaced).name}


def _broken_png(root: Path) -> dict[str, Any]:
    image_folder(root, classes=2)
    (root / "class1" / "000.png").write_bytes(b"\x89PNG broken")
    return {}


def _one_class(root: Path) -> dict[str, Any]:
    image_folder(root, classes=1)
    return {}


def _sides_as_classes(root: Path) -> dict[str, Any]:
    (root / "train").mkdir()
    (root / "val").mkdir()
    return {}


NOT_A_NUMBER = np.full((8, 8, 8), np.nan)
BROKEN: list[tuple[Callable[[Path], dict[str, Any]], type[TrainerError], str]] = [
    (lambda root: {"dataset": "absent"}, BadConfig, r"HPO_CONFIG.dataset: expected a folder or an .npz file .*absent"),
    (lambda root: {}, BadData, r"no \.png, \.jpg, \.jpeg, \.dcm file in a folder named after its class"),
    (_one_class, BadData, r"expected at least two classes, found class0"),
    (_broken_png, BadData, r"class1/000\.png: cannot be read as an image"),
    (_sides_as_classes, BadData, r"expected one folder per class, found train or test; name the split in a splitFile"),
    (lambda root: {"splitFile": "s.csv"}, BadData, r"s\.csv: no such file"),
    (
        _splits(header="class,file,mine"),
        BadConfig,
        r"HPO_CONFIG.splitColumn: expected a column 'split' in .*found class",
    ),
    (_splits(header="klass,file,split"), BadConfig, r"HPO_CONFIG.splitFile: expected a column 'class' in .*s\.csv"),
    (_splits("class0,000.png,dev"), BadData, r"s\.csv:2: expected train, val or test in column 'split', found 'dev'"),
    (_splits("class7,000.png,train"), BadData, r"s\.csv:2: no folder for class 'class7'"),
    (_splits("class0,000.png,train", "class0,000.png,val"), BadData, r"s\.csv:3: class0/000.png is listed twice"),
    (
        _splits("class0,../x.png,train"),
        BadData,
        r"s\.csv: expected a path inside the data set, found 'class0/../x.png'",
    ),
    (_splits("class0,000.png,train", "class0,001.png,val"), BadData, r"no training image of class 'class1'"),
    (_splits("class0,000.png,train", "class1,001.png,train"), BadData, r"no image is left for validation"),
    (
        _splits("class0,009.png,train", "class0,001.png,val", "class1,001.png,train", "class1,002.png,val"),
        BadData,
        r"class0/009\.png: no such file",
    ),
    (_archive(val_labels=None), BadData, r"a\.npz: expected an array val_labels beside train_images"),
    (
        _archive(train_labels=np.zeros((8, 3), int)),
        BadData,
        r"a\.npz\[train_labels\]: expected integers of shape \(N,\)",
    ),
    (
        _archive(train_labels=np.zeros(7, int)),
        BadData,
        r"a\.npz\[train_labels\]: expected 8, one for each image, found 7",
    ),
    (_archive(train_labels=-np.ones(8, int)), BadData, r"a\.npz\[train_labels\]: expected at least 0, found -1"),
    (_archive(train_images=np.zeros((8, 8))), BadData, r"a\.npz\[train_images\]: expected shape \(N, H, W\)"),
    (_archive(train_images=NOT_A_NUMBER), BadData, r"a\.npz: image 0: 64 of 64 values are NaN or infinite"),
    (_archive(classes=np.array(["one"])), BadData, r"a\.npz\[labels\]: expected less than 1, the number of classes"),
    (
        _archive(train_images=np.ones((8, 8, 8))),
        BadData,
        r"a\.npz: all training images have one and the same grey value",
    ),
    (_archive(train_images=None), BadData, r"a\.npz: expected arrays images, labels, groups or train_images"),
]


@pytest.mark.parametrize(("prepare", "kind", "message"), BROKEN, ids=[row[2][:50] for row in BROKEN])
def test_broken_data_sets_are_told_apart(
    tmp_path: Path, prepare: Callable[[Path], dict[str, Any]], kind: type[TrainerError], message: str
) -> None:
    config = prepare(tmp_path)
    with pytest.raises(kind, match=message):
        read(tmp_path, **config)
