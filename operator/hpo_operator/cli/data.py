"""``hpo data``: what is to be known of a data set before a study trains on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from hpo_operator.cli.options import sentences
from hpo_operator.local.trainer_process import run_trainer_module

data = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Data sets: check them, split them.")


@data.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="A data set: a folder, or an .npz file.")],
    json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    split_file: Annotated[str, typer.Option(help="A CSV file inside the data set, as the study's splitFile.")] = "",
    split_column: Annotated[str, typer.Option(help="Its column, as the study's splitColumn.")] = "split",
    patient: Annotated[
        str, typer.Option(help="Regular expression; its first group, in a file's name, is the patient.")
    ] = "",
) -> None:
    """Say whether a data set can be trusted: unreadable files, classes, leaks. Exit code 0 fine, 1 problems, 2 usage.

    Example: hpo data check ./data/MedNIST --split-file splits.csv
    """
    given = {"--split-file": split_file, "--split-column": split_column, "--patient": patient}
    options = [f"{name}={value}" for name, value in given.items() if value]
    _run("hpo_trainer.data.check", [*options, *(["--json"] if json else []), "--", str(path)])


@data.command()
def split(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="A data set: a folder, or an .npz file with groups.")],
    test: Annotated[float, typer.Option(help="Share of the test side, which no trial reads; 0: none.")] = 0.25,
    validation: Annotated[float, typer.Option(help="Share of the validation side.")] = 0.25,
    folds: Annotated[int, typer.Option(help="This many folds of what is not for the test.")] = 0,
    block: Annotated[
        int, typer.Option(help="Where no patient is known, this many neighbouring files stay together.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Another seed, another split.")] = 0,
    patient: Annotated[
        str, typer.Option(help="Regular expression; its first group, in a file's name, is the patient.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Default: splits.csv, or splits_final.json, in the data set; beside an archive.")
    ] = None,
) -> None:
    """Draw a split by patient or volume, every class on every side, and write it beside the data.

    Example: hpo data split ./data/MedNIST --folds 5
    """
    given = {"--test": test, "--validation": validation, "--folds": folds, "--block": block, "--seed": seed}
    texts = {"--patient": patient, "--out": "" if out is None else str(out)}
    options = [f"{name}={value}" for name, value in (given | {n: t for n, t in texts.items() if t}).items()]
    _run("hpo_trainer.data.split", [*options, "--", str(path)])


def _run(module: str, arguments: list[str]) -> None:
    """Ends with the exit code of the trainer's command."""
    with sentences():
        raise typer.Exit(run_trainer_module(module, arguments, os.environ))
