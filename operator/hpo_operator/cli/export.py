"""``hpo export``: a study's trials for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo_operator.cli.options import StudyArgument, found_study, reads_objects
from hpo_operator.cli.written import Format, written
from hpo_operator.mistakes import Mistake, write_file
from hpo_operator.studies.objects import StudyObjects
from hpo_operator.studies.records import trial_record
from hpo_operator.studies.stored_objects import Source

if TYPE_CHECKING:
    from hpo_operator.report.stored_study import StoredStudy


class Target(StrEnum):
    CSV, OPTUNA, MLFLOW, WANDB = "csv", "optuna", "mlflow", "wandb"


@reads_objects
def export(
    study: StudyArgument,
    to: Annotated[
        Target,
        typer.Option(
            help="csv: a row for each trial. optuna: a study in an Optuna storage. mlflow: an experiment with a run "
            "for each trial. wandb: offline runs, for wandb sync."
        ),
    ],
    source: Source,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            help="csv, optuna, mlflow: a file; wandb: a folder. optuna, mlflow: also a URL. "
            "Default: STUDY.csv, STUDY.db, mlflow.db, the current folder.",
        ),
    ] = "",
) -> None:
    """Write a study's trials for other programs: a spreadsheet, optuna-dashboard, MLflow, Weights & Biases.

    Examples: hpo export brain-tissue --to csv; hpo export brain-tissue --to optuna -o sqlite:///studies.db; hpo export
    brain-tissue --to mlflow -o http://mlflow:5000
    """
    found = found_study(source, study)
    if to is Target.CSV:
        where = Path(out or f"{found.name}.csv")
        write_file(where, written([trial_record(trial) for trial in found.trials], Format.CSV).encode())
        typer.echo(f"{len(found.trials)} trials written to {where}")
    else:
        told = {Target.OPTUNA: _to_optuna, Target.MLFLOW: _to_mlflow, Target.WANDB: _to_wandb}[to](found, out)
        typer.echo(told)


def _to_optuna(found: StudyObjects, out: str) -> str:
    with _needs("optuna"):
        from hpo_operator.cli import optuna_study

    url = out if "://" in out else f"sqlite:///{out or f'{found.name}.db'}"
    return f"{optuna_study.store(_stored(found), url)} trials written to {url} as the study {found.name}"


def _to_mlflow(found: StudyObjects, out: str) -> str:
    with _needs("mlflow"):
        from hpo_operator.cli import mlflow_experiment

    uri = out if "://" in out else f"sqlite:///{out or 'mlflow.db'}"
    return f"{mlflow_experiment.store(_stored(found), uri)} trials written to {uri} as the experiment {found.name}"


def _to_wandb(found: StudyObjects, out: str) -> str:
    with _needs("wandb"):
        from hpo_operator.cli import wandb_runs

    written = wandb_runs.store(_stored(found), Path(out))
    return f"{written} trials written; send them with: wandb sync {Path(out) / 'wandb'}/offline-run-*"


@contextmanager
def _needs(package: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise Mistake(f"--to {package} needs the package {package}: pip install {package}") from None


def _stored(found: StudyObjects) -> StoredStudy:
    from hpo_operator.studies.typed_objects import engine_view

    return engine_view(found)
