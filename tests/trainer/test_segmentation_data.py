"""Layouts of images with masks: what is read, who validates, and what is said about broken data sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo_trainer.config import SegmentationConfig, parse
from hpo_trainer.data.intensity import normalize
from hpo_trainer.data.segmentation import SegmentationData, load
from hpo_trainer.failures import BadConfig, BadData, TrainerError
from trainer.support import decathlon_folder, discs, save_volume, segmentation_archive


def read(root: Path, **config: Any) -> SegmentationData:
    parsed = parse("segmentation", config, {})
    assert isinstance(parsed, SegmentationConfig)
    return load(root, parsed, lambda: None)


def cases(data: SegmentationData) -> tuple[list[int], list[int]]:
    train, validation = ([sample.case for sample in side] for side in (data.train, data.validation))
    return train, validation


def test_archives_are_split_by_group_and_minus_one_is_left_out(tmp_path: Path) -> None:
    images, masks = discs(10)
    np.savez(tmp_path / "a.npz", images=images, masks=masks, groups=[0, 0, -1, 1, 1, -1, 2, 2, 3, 3])
    assert cases(read(tmp_path, dataset="a.npz")) == ([1, 1, 2, 2, 3, 3], [0, 0])
    assert cases(read(tmp_path, dataset="a.npz", fold=2)) == ([0, 0, 1, 1, 3, 3], [2, 2])
    data = read(tmp_path, dataset="a.npz")
    assert data.classes == ("background", "1", "2")
    assert data.train[0].image.shape == (1, 20, 24)


def test_volumes_in_archives_are_cut_into_slices_for_2d(tmp_path: Path) -> None:
    images, masks = discs(3)
    stack = [np.repeat(a[..., None], 5, axis=3) for a in (images, masks)]
    np.savez(tmp_path / "a.npz", images=stack[0], masks=stack[1], groups=[0, 1, 2])
    slices, volumes = read(tmp_path, dataset="a.npz"), read(tmp_path, dataset="a.npz", dimensions="3D")
    assert cases(slices) == ([1] * 5 + [2] * 5, [0] * 5)
    assert cases(volumes) == ([1, 2], [0])
    assert volumes.train[0].mask.shape == (20, 24, 5)


def test_decathlon_folders_in_2d_and_3d(tmp_path: Path) -> None:
    decathlon_folder(tmp_path, cases=4)
    volumes, slices = read(tmp_path, dimensions="3D"), read(tmp_path)
    assert volumes.classes == ("background", "rim", "inner core")
    assert cases(volumes) == ([1, 2, 3], [0])
    assert cases(slices) == ([1] * 7 + [2] * 8 + [3] * 9, [0] * 6)


def test_listed_folds_are_obeyed(tmp_path: Path) -> None:
    decathlon_folder(tmp_path, cases=4)
    folds = [{"train": ["case_0", "case_1"], "val": ["case_3"]}, {"train": ["case_3"], "val": ["case_0"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    assert cases(read(tmp_path, dimensions="3D")) == ([0, 1], [3])
    assert cases(read(tmp_path, dimensions="3D", fold=1)) == ([3], [0])
    with pytest.raises(BadConfig, match=r"HPO_CONFIG\.fold: expected less than 2, found 2"):
        read(tmp_path, fold=2)


def test_channels_come_last_in_a_file_and_first_in_memory(tmp_path: Path) -> None:
    decathlon_folder(tmp_path, cases=2)
    document = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(document | {"modality": {"0": "T1", "1": "T2"}}))
    with pytest.raises(BadData, match=r"case_1\.nii\.gz: expected 2 channels as dataset\.json, found 1"):
        read(tmp_path)
    for i in range(2):
        voxels = np.random.default_rng(i).normal(size=(20, 24, 6 + i, 2)).astype(np.float32)
        save_volume(tmp_path / f"imagesTr/case_{i}.nii.gz", voxels)
    assert read(tmp_path, dimensions="3D").train[0].image.shape == (2, 20, 24, 7)


@pytest.mark.parametrize("method", ["None", "ZScore", "PercentileZScore", "MinMax"])
def test_normalisation(method: str) -> None:
    image = np.random.default_rng(0).gamma(2, 300, (2, 16, 16)).astype(np.float32)
    normal = normalize(image, method)
    assert normal.dtype == np.float32
    for channel, original in zip(normal, image, strict=True):
        if method == "None":
            np.testing.assert_array_equal(channel, original)
        elif method == "MinMax":
            assert (channel.min(), channel.max()) == (0, 1)
        else:
            assert abs(channel.mean()) < 1e-5
            assert channel.std() == pytest.approx(1, abs=1e-4)
            assert (channel.max() < normalize(original[None], "ZScore").max()) == (method == "PercentileZScore")
    constant = np.full((1, 4, 4), 7, dtype=np.float32)
    assert np.all(normalize(constant, method) == (7 if method == "None" else 0))


def _archive(**replaced: Any) -> Callable[[Path], dict[str, Any]]:
    def prepare(root: Path) -> dict[str, Any]:
        with np.load(segmentation_archive(root / "a.npz")) as archive:
            arrays = dict(archive) | replaced
        np.savez(root / "a.npz", **{name: value for name, value in arrays.items() if value is not None})
        return {"dataset": "a.npz"}

    return prepare


def _decathlon(change: Callable[[Path], object]) -> Callable[[Path], dict[str, Any]]:
    def prepare(root: Path) -> dict[str, Any]:
        change(decathlon_folder(root))
        return {}

    return prepare


def _described(**changes: Any) -> Callable[[Path], dict[str, Any]]:
    def change(root: Path) -> None:
        path = root / "dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return _decathlon(change)


def _volume(name: str, voxels: np.ndarray[Any, Any]) -> Callable[[Path], dict[str, Any]]:
    return _decathlon(lambda root: save_volume(root / name, voxels))


def _truncated(root: Path) -> None:
    path = root / "imagesTr/case_1.nii.gz"
    path.write_bytes(path.read_bytes()[:-200])


IMAGES, MASKS = discs(16)
PAIR = {"image": "imagesTr/case_0.nii.gz", "label": "labelsTr/case_0.nii.gz"}
HOLES = np.where(np.arange(6) == 3, np.nan, 1.0) * np.ones((20, 24, 6))
LABEL_9 = np.full((20, 24, 6), 9, dtype=np.uint8)
FOLDS = '[{"train": ["case_0"], "val": ["case_0"]}]'
BROKEN: list[tuple[Callable[[Path], dict[str, Any]], type[TrainerError], str]] = [
    (lambda root: {"dataset": "absent.npz"}, BadConfig, r"HPO_CONFIG\.dataset: expected a folder or .*absent\.npz"),
    (_archive(groups=None), BadData, r"a\.npz: expected arrays images, masks, groups; no groups among images, masks"),
    (_archive(groups=np.zeros(16, int)), BadData, r"a\.npz: expected at least two groups to split, found 1"),
    (_archive(groups=np.zeros(15, int)), BadData, r"a\.npz\[groups\]: expected 16 integers, one for each image"),
    (
        _archive(masks=MASKS[:, :, :20]),
        BadData,
        r"a\.npz: image \d+: the mask has shape \(20, 20\), its image \(20, 24\)",
    ),
    (_archive(masks=MASKS[:9]), BadData, r"a\.npz: expected images \(N, H, W\).*masks of that shape"),
    (_archive(masks=MASKS * 0.5), BadData, r"a\.npz\[masks\]: expected integers, found float64"),
    (_archive(masks=MASKS.astype(int) * -1), BadData, r"a\.npz\[masks\]: .* found 1 classes"),
    (_archive(masks=MASKS * 100), BadData, r"class '1' \(label 1\) occurs in no training image; try another fold"),
    (_archive(classes=np.array(["bg", "a"])), BadData, r"a\.npz: image \d+: label 2 is none of the 2 classes 0 to 1"),
    (
        _archive(images=np.full_like(IMAGES, np.inf)),
        BadData,
        r"a\.npz: image \d+: 480 of 480 values are NaN or infinite",
    ),
    (lambda root: _archive()(root) | {"dimensions": "3D"}, BadConfig, r"HPO_CONFIG\.dimensions: expected 2D, since"),
    (lambda root: _archive()(root) | {"fold": 4}, BadConfig, r"HPO_CONFIG\.fold: expected less than 4 \(4 groups"),
    (lambda root: {}, BadData, r"dataset\.json: no such file"),
    (
        _decathlon(lambda root: (root / "dataset.json").write_text("{")),
        BadData,
        r"dataset\.json: cannot be read as JSON",
    ),
    (_described(training=[]), BadData, r"dataset\.json: expected a list of image and label pairs under training"),
    (_described(training=[{"image": "a"}]), BadData, r"training\[0\]: expected an object with image and label"),
    (_described(training=[PAIR, PAIR]), BadData, r"dataset\.json: case 'case_0' is listed twice"),
    (
        _described(training=[PAIR | {"label": "/etc/x"}]),
        BadData,
        r"expected a path inside the data set, found '/etc/x'",
    ),
    (_described(labels={"background": 0}), BadData, r'dataset\.json: expected labels \{"0": "background"'),
    (_decathlon(lambda root: (root / "labelsTr/case_2.nii.gz").unlink()), BadData, r"case_2\.nii\.gz: no such file"),
    (_decathlon(_truncated), BadData, r"imagesTr/case_1\.nii\.gz: cannot be read as NIfTI"),
    (_volume("imagesTr/case_0.nii.gz", HOLES), BadData, r"imagesTr/case_0\.nii\.gz: 480 of 2880 values are NaN"),
    (
        _volume("labelsTr/case_0.nii.gz", LABEL_9),
        BadData,
        r"labelsTr/case_0\.nii\.gz: label 9 is none of the 3 classes",
    ),
    (_volume("labelsTr/case_0.nii.gz", LABEL_9[:9]), BadData, r"labelsTr/case_0\.nii\.gz: the mask has shape \(9, 24"),
    (_volume("labelsTr/case_0.nii.gz", LABEL_9 / 18), BadData, r"labelsTr/case_0\.nii\.gz: label 0\.5 is none of"),
    (
        _decathlon(lambda root: (root / "splits_final.json").write_text(FOLDS)),
        BadData,
        r"splits_final\.json\[0\]: lists 'case_0' for training and for validation",
    ),
    (
        _decathlon(lambda root: (root / "splits_final.json").write_text("[3]")),
        BadData,
        r'splits_final\.json: expected a list of \{"train": ',
    ),
]


@pytest.mark.parametrize(("prepare", "kind", "message"), BROKEN, ids=[row[2][:50] for row in BROKEN])
def test_broken_data_sets_are_told_apart(
    tmp_path: Path, prepare: Callable[[Path], dict[str, Any]], kind: type[TrainerError], message: str
) -> None:
    config = prepare(tmp_path)
    with pytest.raises(kind, match=message):
        read(tmp_path, **config)
