"""``hpo validate``: what is wrong with a study file, as the cluster would say it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study
from hpo_operator.cli.mistakes import Mistake
from hpo_operator.cli.options import INVALID
from hpo_operator.cli.study_file import StudyFileError, read_study_files


def validate(files: Annotated[list[Path], typer.Argument(help="Study files.")]) -> None:
    """Say what is wrong with study files, as the cluster would.

    Example: hpo validate study.yaml
    """
    wrong = 0
    for path in files:
        problems = _problems(path)
        wrong += bool(problems)
        for problem in problems:
            typer.echo(f"{path}: {problem}", err=True)
        if not problems:
            typer.echo(f"{path}: valid")
    raise typer.Exit(INVALID if wrong else 0)


def valid_studies(paths: Sequence[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """All studies of all files, with their file. Raises Mistake with all that is wrong in any."""
    problems = [f"{path}: {problem}" for path in paths for problem in _problems(path)]
    if problems:
        raise Mistake("\n".join(problems))
    return [(path, document) for path in paths for document in read_study_files(path)]


def one_study(path: Path) -> dict[str, Any]:
    """The one valid study of a file. Raises Mistake with all that is wrong."""
    found = valid_studies([path])
    if len(found) > 1:
        raise Mistake(f"{path}: expected one study, found {len(found)}")
    return found[0][1]


def _problems(path: Path) -> list[str]:
    try:
        documents = read_study_files(path)
    except StudyFileError as error:
        return [str(error).removeprefix(f"{path}: ")]
    problems: list[str] = []
    for document in documents:
        try:
            parse_study(document)
        except InvalidObject as error:
            problems.extend(map(str, error.errors))
    return problems
