"""``hpo validate``: what is wrong with a study file, as the cluster would say it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpo_operator.cli.options import INVALID
from hpo_operator.studies.study_file import study_problems


def validate(files: Annotated[list[Path], typer.Argument(help="Study files.")]) -> None:
    """Say what is wrong with study files, as the cluster would.

    Example: hpo validate study.yaml
    """
    wrong = 0
    for path in files:
        problems = study_problems(path)
        wrong += bool(problems)
        for problem in problems:
            typer.echo(f"{path}: {problem}", err=True)
        if not problems:
            typer.echo(f"{path}: valid")
    raise typer.Exit(INVALID if wrong else 0)
