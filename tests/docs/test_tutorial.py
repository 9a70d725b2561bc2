"""The tutorial's commands, which ``make check-tutorial`` runs, exist with the options that they are given."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path

import typer.main

from hpo_operator.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/tutorial.md"


def tutorial_commands() -> list[str]:
    spec = importlib.util.spec_from_file_location("check", ROOT / "docs/tutorial/check.py")
    assert spec is not None and spec.loader is not None
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    found: list[str] = check.commands(PAGE)
    return found


def test_every_command_of_hpo_parses() -> None:
    group = typer.main.get_command(app)
    called = [shlex.split(command)[1:] for command in tutorial_commands() if command.startswith("hpo ")]
    assert {argv[0] for argv in called} >= {
        "data",
        "init",
        "validate",
        "run",
        "simulate",
        "report",
        "explain",
        "finalize",
    }
    for argv in called:
        command, rest = group, argv
        while hasattr(command, "get_command"):
            context = typer.Context(command)
            command, rest = command.get_command(context, rest[0]), rest[1:]
        given = {word.partition("=")[0] for word in rest if word.startswith("-")}
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert given <= known, argv


def test_the_sample_is_of_all_classes() -> None:
    names = (ROOT / "docs/tutorial/sample.txt").read_text().split()
    assert len(names) == len(set(names)) == 720
    assert {name.split("/")[1] for name in names} == {"AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"}
