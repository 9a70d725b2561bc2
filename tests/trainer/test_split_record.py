"""``split.json``: which images a trial trained on and which it was judged by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpo_trainer import split_record
from trainer.support import SMALL_NETWORK, SMALL_U_NET, TrialRunner, decathlon_folder, image_folder


def test_a_trial_names_its_images(tmp_path: Path) -> None:
    data = image_folder(tmp_path / "data", count=8)
    runner = TrialRunner(tmp_path, data, "classification", SMALL_NETWORK)
    assert runner.run(1).code == 0
    record = split_record.read(runner.checkpoints)
    assert record is not None
    assert record.sides["validation"] == tuple(f"class{c}/{i:03}.png" for c in range(3) for i in (6, 7))
    assert len(record.sides["train"]) == 18
    assert not {*record.sides["train"]} & {*record.sides["validation"]}
    before = (runner.checkpoints / split_record.FILE).stat()
    assert runner.run(2).code == 0
    after = (runner.checkpoints / split_record.FILE).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)  # it says so already


@pytest.mark.parametrize("task", ["segmentation", "templateDeformation"])
def test_cases_of_a_decathlon_folder(tmp_path: Path, task: str) -> None:
    decathlon_folder(tmp_path / "data")
    folds = [{"train": ["case_0", "case_1"], "val": ["case_3"]}]
    (tmp_path / "data/splits_final.json").write_text(json.dumps(folds))
    runner = TrialRunner(tmp_path, tmp_path / "data", task, SMALL_U_NET)
    assert runner.run(1).code == 0
    record = split_record.read(runner.checkpoints)
    assert record is not None
    assert record.sides == {"train": ("case_0", "case_1"), "validation": ("case_3",)}


def test_a_kill_while_writing_leaves_the_old_one(tmp_path: Path) -> None:
    split_record.write(tmp_path, "old", {"train": ("a",), "validation": ("b",)})
    (tmp_path / "split.new").write_text("{")  # torn
    assert split_record.read(tmp_path) == split_record.SplitRecord("old", {"train": ("a",), "validation": ("b",)})
    split_record.write(tmp_path, "new", {"train": ("a", "c"), "validation": ("b",)})
    assert split_record.read(tmp_path) == split_record.SplitRecord("new", {"train": ("a", "c"), "validation": ("b",)})
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def test_none_of_a_trial_of_before(tmp_path: Path) -> None:
    assert split_record.read(tmp_path) is None


def test_what_has_changed_is_told() -> None:
    before = {"train": ("a", "b", "c", "d", "e"), "validation": ("v",)}
    now = {"train": ("e", "x"), "validation": ("v",)}
    assert split_record.difference(before, now) == "train lacks a, b, c and 1 more; train has gained x"
    assert split_record.difference(before, before).endswith("and other contents")
