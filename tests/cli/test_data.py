"""``hpo data``: the trainer's commands run as child processes, and are missed politely."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpo_operator.cli import trainer_process
from hpo_operator.cli.main import app
from trainer.support import REPOSITORY, image_folder


def hpo(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpo_operator.cli.main", *map(str, arguments)]
    environment = {"PYTHONPATH": str(REPOSITORY / "operator"), "COLUMNS": "120"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_exit_code_and_the_output_are_the_checks_own(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=2)
    assert hpo("data", "check", tmp_path).stdout.endswith("no problem found\n")
    (tmp_path / "class1/000.png").write_bytes(b"")
    broken = hpo("data", "check", tmp_path, "--json", "--patient", r"^(\d+)")
    assert broken.returncode == 1
    assert json.loads(broken.stdout)["unreadable"] == [
        f"{tmp_path}/class1/000.png: the file is empty (0 bytes); copy it again or leave it out"
    ]


def test_a_data_set_that_is_not_there(tmp_path: Path) -> None:
    ended = hpo("data", "check", tmp_path / "-absent")
    assert ended.returncode == 2
    assert f"{tmp_path}/-absent: no such file or folder" in ended.stderr


def test_without_the_trainers_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(trainer_process, "find_spec", absent)
    monkeypatch.setattr(trainer_process, "source_roots", tuple)
    result = CliRunner().invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 2
    assert "hpo_trainer, torch, nibabel, PIL is not installed: pip install 'hpo-operator[trainer]'" in result.stderr
