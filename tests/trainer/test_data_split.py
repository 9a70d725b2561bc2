"""``hpo_trainer.data.split``: what it writes is read by training, and the check finds no leak in it."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_trainer.config import ClassificationConfig, SegmentationConfig, parse
from hpo_trainer.data import classification, segmentation
from hpo_trainer.data.check import check
from hpo_trainer.data.folds import find_folds
from hpo_trainer.data.inspection import Item
from hpo_trainer.data.leaks import families
from hpo_trainer.data.split import main
from hpo_trainer.failures import BadConfig, BadData
from trainer.support import decathlon_folder, image_folder, segmentation_archive


def patients(root: Path, *, count: int = 16, each: int = 2) -> Path:
    """Two classes of ``count`` images, ``each`` neighbours of one patient."""
    image_folder(root, classes=2, count=count)
    for label in (0, 1):
        for i in range(count):
            path = root / f"class{label}/{i:03}.png"
            path.rename(path.with_name(f"patient{label}{i // each:02}_{i:03}.png"))
    return root


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_folder_is_split_by_patient_and_training_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patients(tmp_path)
    assert main([str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "split train 16 items of 8 groups: class0 8, class1 8"
    assert shown.err == ""
    rows = rows_of(tmp_path / "splits.csv")
    assert [r["class"] for r in rows] == ["class0"] * 16 + ["class1"] * 16
    assert len({(r["patient"], r["split"]) for r in rows}) == 16
    assert check(tmp_path, "splits.csv").problems == ()
    config = parse("classification", {"imageSize": 8, "blocks": 1, "splitFile": "splits.csv"}, {})
    assert isinstance(config, ClassificationConfig)
    data = classification.load(tmp_path, config, lambda: None)
    assert (len(data.train.labels), len(data.validation.labels)) == (16, 8)


def test_equal_images_stay_together_across_patients(tmp_path: Path) -> None:
    patients(tmp_path)
    for i in (1, 2, 3, 4, 5, 6, 7):
        here = tmp_path / f"class0/patient0{i:02}_{2 * i:03}.png"
        shutil.copy(tmp_path / "class0/patient000_000.png", here)
    assert main([str(tmp_path), "--seed", "5"]) == 0
    rows = rows_of(tmp_path / "splits.csv")
    assert {(r["patient"], r["split"]) for r in rows if r["class"] == "class0"} == {("patient000", "train")}
    assert check(tmp_path, "splits.csv").problems == ("class 'class0' occurs nowhere on the side val of split",)


def test_folds_beside_a_common_test_side(tmp_path: Path) -> None:
    patients(tmp_path)
    assert main([str(tmp_path), "--folds", "3", "--test", "0.25"]) == 0
    rows = rows_of(tmp_path / "splits.csv")
    for row in rows:
        sides = [row[f"fold{k}"] for k in range(3)]
        assert sides == ["test"] * 3 or sorted(sides) == ["train", "train", "val"]
    assert sum(row["fold0"] == "test" for row in rows) == 8
    for k in range(3):
        assert check(tmp_path, "splits.csv", f"fold{k}").problems == ()


def test_volumes_get_folds_that_nn_u_net_reads(tmp_path: Path) -> None:
    decathlon_folder(tmp_path, cases=8)
    assert main([str(tmp_path), "--folds", "3", "--test", "0.25"]) == 0
    document = json.loads((tmp_path / "splits_final.json").read_text())
    everything = {f"case_{i}" for i in range(8)}
    assert [sorted(fold) for fold in document] == [["test", "train", "val"]] * 3
    assert all({*fold["train"], *fold["val"], *fold["test"]} == everything for fold in document)
    assert sorted(case for fold in document for case in fold["val"]) == sorted(everything - {*document[0]["test"]})
    config = parse("segmentation", {"dimensions": "3D", "fold": 2}, {})
    assert isinstance(config, SegmentationConfig)
    data = segmentation.load(tmp_path, config, lambda: None)
    assert (len(data.train), len(data.validation)) == (len(document[2]["train"]), len(document[2]["val"]))


def test_images_of_nobody_are_told_and_kept_in_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image_folder(tmp_path, classes=2, count=12)
    assert main([str(tmp_path), "--out", str(tmp_path / "one.csv")]) == 0
    assert "warning: no patient is known of 24 images, which are split one by one" in capsys.readouterr().err
    assert main([str(tmp_path), "--block", "3", "--out", str(tmp_path / "three.csv")]) == 0
    assert capsys.readouterr().err == ""
    sides = [row["split"] for row in rows_of(tmp_path / "three.csv")]
    assert all(len(set(sides[i : i + 3])) == 1 for i in range(0, 24, 3))


def test_a_class_with_too_few_patients_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patients(tmp_path, each=8)
    assert main([str(tmp_path)]) == 0
    assert "warning: split: no 'class1' on the side test; too few groups have it" in capsys.readouterr().err


def test_the_same_seed_writes_the_same_file_and_none_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patients(tmp_path)
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main([str(tmp_path), "--seed", seed, "--out", str(tmp_path / name)]) == 0
    first, second, third = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second != third
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), "--seed", "2", "--out", str(tmp_path / "a")])
    assert ended.value.code == 2
    assert "exists, and studies may depend on it; name another file with --out" in capsys.readouterr().err
    assert (tmp_path / "a").read_bytes() == first


def test_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patients(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), "--out", str(tmp_path / "absent/a.csv")])
    assert ended.value.code == 2
    assert "absent/a.csv cannot be written: No such file or directory; name another" in capsys.readouterr().err


@given(st.permutations(range(6)))
def test_families_are_linked_by_patients_and_by_pixels(order: list[int]) -> None:
    known = {"a": ("p1", "x"), "b": ("", "x"), "c": ("p0", "y"), "d": ("p1", "y"), "e": ("", "z"), "f": ("", "w")}
    black = [Item(name, "", (1,), (), 0, 0, (1,), "black") for name in ("g", "h")]
    items = [Item(name, group, (1,), (), 0, 1, (1,), content) for name, (group, content) in known.items()]
    assert families(black) == ("g", "h")
    found = dict(zip((items[i].name for i in order), families([items[i] for i in order]), strict=True))
    assert found == {"a": "p0", "b": "p0", "c": "p0", "d": "p0", "e": "e", "f": "f"}


def test_a_data_set_that_cannot_be_read_is_not_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patients(tmp_path)
    broken = tmp_path / "class0/patient000_000.png"
    broken.write_bytes(b"")
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{broken}: the file is empty (0 bytes); copy it again or leave it out\n"
    assert not (tmp_path / "splits.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--test", "0.6", "--validation", "0.4"], "both together below 1"),
        (["--validation", "0"], "--validation above 0"),
        (["--folds", "1"], "--folds: expected 0 or at least 2, found 1"),
        (["--block", "0"], "--block: expected at least 1, found 0"),
    ],
)
def test_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


# --- archives


def labelled_archive(path: Path) -> Path:
    """24 images of two classes and twelve patients, and one that belongs to no side."""
    rng = np.random.default_rng(0)
    groups = np.append(np.repeat(np.arange(12), 2), -1)
    images = rng.integers(0, 256, (25, 8, 8), dtype=np.uint8)
    np.savez(path, images=images, labels=np.append(np.repeat([0, 1], 12), 0), groups=groups)
    return path


def test_an_archive_of_labelled_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = labelled_archive(tmp_path / "images.npz")
    assert main([str(path)]) == 0
    assert f"written to {tmp_path}/images.splits.csv" in capsys.readouterr().out
    rows = rows_of(tmp_path / "images.splits.csv")
    assert [row["image"] for row in rows] == [str(i) for i in range(24)]
    assert len({(row["patient"], row["split"]) for row in rows}) == 12
    fields = {"dataset": "images.npz", "imageSize": 8, "blocks": 1, "splitFile": "images.splits.csv"}
    config = parse("classification", fields, {})
    assert isinstance(config, ClassificationConfig)
    data = classification.load(tmp_path, config, lambda: None)
    sides = {side: {f"images[{r['image']}]" for r in rows if r["split"] == side} for side in ("train", "val", "test")}
    assert {side: set(names) for side, names in data.sides.items()} == {
        "train": sides["train"],
        "validation": sides["val"],
    }
    found = data.test(lambda: None)
    assert found is not None
    assert set(found[1].names) == sides["test"]
    assert check(path, "images.splits.csv").problems == ()


def test_folds_of_an_archive_with_masks(tmp_path: Path) -> None:
    path = segmentation_archive(tmp_path / "discs.npz", groups=8, per_group=2)
    assert main([str(path), "--folds", "3", "--test", "0.25"]) == 0
    rows = rows_of(tmp_path / "discs.splits.csv")
    seen = []
    for k in range(3):
        config = SegmentationConfig(dataset="discs.npz", split_file="discs.splits.csv", split_column=f"fold{k}")
        data = segmentation.load(tmp_path, config, lambda: None)
        seen += [s.item for s in data.validation]
        assert {s.case for s in data.validation}.isdisjoint({s.case for s in data.train})
        found = data.test(lambda: None)
        assert found is not None
        assert [s.item for s in found[1]] == [i for i, row in enumerate(rows) if row[f"fold{k}"] == "test"]
        assert check(path, "discs.splits.csv", f"fold{k}").problems == ()
    assert len(seen) == len(set(seen)) == 12
    folds = find_folds(tmp_path, replace(config, split_column="fold1"), 9, 0)
    assert (folds.origin, len(folds.folds)) == ("listed in discs.splits.csv", 3)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("image,split\n0,train\n16,val\n", "discs.csv:3: expected the position of an image, from 0 to 15, found '16'"),
        ("image,split\n-1,train\n", "discs.csv:2: expected the position of an image, from 0 to 15, found '-1'"),
        ("image,split\n0,train\n0,val\n", "discs.csv:3: image 0 is listed twice"),
        ("image,split\n0,elsewhere\n", "discs.csv:2: expected train, val or test in column 'split', found 'elsewhere'"),
        ("image,side\n0,train\n", "HPO_CONFIG.splitColumn: expected a column 'split' in"),
        ("file,split\n0,train\n", "HPO_CONFIG.splitFile: expected a column 'image' in"),
        ("image,split\n0,train\n", "no image is left for validation"),
    ],
)
def test_a_split_file_of_an_archive_that_is_none(tmp_path: Path, rows: str, said: str) -> None:
    segmentation_archive(tmp_path / "discs.npz")
    (tmp_path / "discs.csv").write_text(rows)
    config = SegmentationConfig(dataset="discs.npz", split_file="discs.csv")
    with pytest.raises((BadConfig, BadData), match=re.escape(said)):
        segmentation.load(tmp_path, config, lambda: None)


def test_an_archive_that_says_itself_who_is_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = segmentation_archive(tmp_path / "discs.npz")
    with np.load(path) as arrays:
        content = dict(arrays)
    np.savez(path, **content, **{f"test_{name}": array[:4] for name, array in content.items()})
    with pytest.raises(SystemExit, match="2"):
        main([str(path)])
    assert "has a test side already, in arrays named test_...; take --test 0" in capsys.readouterr().err
    assert main([str(path), "--test", "0"]) == 0
    medmnist = tmp_path / "medmnist.npz"
    np.savez(medmnist, train_images=np.zeros((2, 8, 8)), train_labels=np.arange(2))
    with pytest.raises(SystemExit, match="2"):
        main([str(medmnist)])
    assert "holds its own split" in capsys.readouterr().err
