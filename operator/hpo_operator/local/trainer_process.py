"""The trainer's own commands, as child processes: this side knows no torch and imports nothing of the trainer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from hpo_operator.mistakes import Mistake

NEEDED = ("torch", "nibabel", "PIL")
"""Packages of the extra ``trainer`` that its commands import at once or when a file calls for them."""


def source_roots() -> tuple[Path, ...]:
    """Where processes find hpo_trainer when this program runs from a checkout that is not installed."""
    root = Path(__file__).resolve().parents[3] / "trainer-image"
    return (root,) if root.is_dir() else ()


def run_trainer_module(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """``python -m module arguments``, its output going where this program's goes; returns the exit code.

    Raises Mistake, before anything is started.
    """
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], env=_environment(environment), check=False
    ).returncode


def trainer_module_output(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """As ``run_trainer_module``, but its standard output is returned beside the exit code."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=_environment(environment),
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.returncode, done.stdout


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """With the trainer on the path. Raises Mistake."""
    absent = [name for name in NEEDED if find_spec(name) is None]
    if not source_roots() and find_spec("hpo_trainer") is None:
        absent.insert(0, "hpo_trainer")
    if absent:
        raise Mistake(
            f"this command needs the trainer's packages, and {', '.join(absent)} is not installed: "
            "pip install 'hpo-operator[trainer]'"
        )
    path = os.pathsep.join([*map(str, source_roots()), *filter(None, [given.get("PYTHONPATH")])])
    return {**given, "PYTHONPATH": path}
