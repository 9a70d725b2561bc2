"""What is said before a study runs on this machine, where it could not find its script or its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo_operator.local.oversights import empty_data, refuse_relative_script
from hpo_operator.mistakes import Mistake

DATA = {"spec": {"trainer": {"data": {"claimName": "scans"}}}}


def study(**container: Any) -> dict[str, Any]:
    return {"spec": {"trainer": {"podTemplate": {"spec": {"containers": [{"name": "trainer", **container}]}}}}}


@pytest.mark.parametrize(
    "container",
    [
        {"command": ["python", "train.py"]},
        {"command": ["python3", "code/train.py", "--fast"]},
        {"command": ["python"], "args": ["train.py"]},
    ],
)
def test_a_script_beside_the_file_is_refused_with_where_to_put_it(container: dict[str, Any]) -> None:
    with pytest.raises(Mistake, match=r"whole path of (code/)?train\.py, .* --volume .*/data/(code/)?train\.py"):
        refuse_relative_script(study(**container))


@pytest.mark.parametrize(
    "container",
    [
        {},
        {"command": ["python", "/data/train.py"]},
        {"command": ["python", "-m", "train.py"]},
        {"command": ["python", "-c", "print()"]},
        {"command": ["python", "$(HPO_DATA_DIR)/train.py"]},
        {"command": ["python", "train.py"], "workingDir": "/data"},
        {"command": ["./train.py", "settings.py"]},
        {"command": "python train.py"},
    ],
)
def test_all_else_is_left_to_the_process(container: dict[str, Any]) -> None:
    refuse_relative_script(study(**container))


@pytest.mark.parametrize(
    "manifest", [{}, {"spec": []}, {"spec": {"trainer": {"podTemplate": {"spec": {"containers": 3}}}}}]
)
def test_a_file_that_is_not_valid_is_judged_elsewhere(manifest: dict[str, Any], tmp_path: Path) -> None:
    refuse_relative_script(manifest)
    assert empty_data(manifest, {}, tmp_path) == ""


def test_data_that_nobody_named_is_told_of(tmp_path: Path) -> None:
    sentence = "the data's claim scans is empty here: --volume scans=DIR names the folder to read"
    assert empty_data(DATA, {}, tmp_path) == sentence
    folder = tmp_path / "volumes" / "scans"
    folder.mkdir(parents=True)
    assert empty_data(DATA, {}, tmp_path) == sentence
    assert empty_data(DATA, {"scans": folder}, tmp_path) == ""
    (folder / "image.png").touch()
    assert empty_data(DATA, {}, tmp_path) == ""
