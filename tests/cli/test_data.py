"""``hpo data``: the trainer's commands run as child processes, and are missed politely."""

from __future__ import annotations

import json
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpo_operator.cli.main import app
from hpo_operator.local import trainer_process
from trainer.support import image_folder


def hpo(*arguments: str | Path) -> int:
    """The exit code; what the child process prints goes to this one's file descriptors."""
    return CliRunner().invoke(app, list(map(str, arguments))).exit_code


def test_the_exit_code_and_the_output_are_the_checks_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image_folder(tmp_path, classes=2)
    (tmp_path / "class1/000.png").write_bytes(b"")
    assert hpo("data", "check", tmp_path, "--json", "--patient", r"^(\d+)") == 1
    assert json.loads(capfd.readouterr().out)["unreadable"] == [
        f"{tmp_path}/class1/000.png: the file is empty (0 bytes); copy it again or leave it out"
    ]


def test_a_data_set_that_is_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert hpo("data", "check", tmp_path / "-absent") == 2
    assert f"{tmp_path}/-absent: no such file or folder" in capfd.readouterr().err


def test_a_split_is_drawn_as_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image_folder(tmp_path, classes=2)
    out = tmp_path / "mine.csv"
    options = ["--folds", "2", "--test", "0", "--block", "3", "--seed", "4", "--out", str(out)]
    assert hpo("data", "split", tmp_path, *options) == 0
    shown = capfd.readouterr()
    assert shown.out.splitlines()[0] == "fold0 train 12 items of 4 groups: class0 6, class1 6"
    assert shown.err == ""
    assert out.read_text().startswith("class,file,patient,fold0,fold1\nclass0,000.png,class0/block0,")


def test_without_the_trainers_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(trainer_process, "find_spec", absent)
    monkeypatch.setattr(trainer_process, "source_roots", tuple)
    result = CliRunner().invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 2
    assert "hpo_trainer, torch, nibabel, PIL is not installed: pip install 'hpo-operator[trainer]'" in result.stderr
