"""``hpo export``: a study's trials for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hpo_operator.cli.options import StudyArgument, found_study, reads_objects
from hpo_operator.cli.written import Format, written
from hpo_operator.mistakes import Mistake, write_file
from hpo_operator.studies.objects import StudyObjects
from hpo_operator.studies.records import trial_record
from hpo_operator.studies.stored_objects import Source


class Target(StrEnum):
    CSV, OPTUNA = "csv", "optuna"


@reads_objects
def export(
    study: StudyArgument,
    to: Annotated[Target, typer.Option(help="csv: a row for each trial. optuna: a study in an Optuna storage.")],
    source: Source,
    out: Annotated[
        str, typer.Option("--out", "-o", help="A file; for optuna also a URL. Default: STUDY.csv or .db")
    ] = "",
) -> None:
    """Write a study's trials for other programs: pandas, a spreadsheet, optuna-dashboard.

    Examples: hpo export brain-tissue --to csv; hpo export brain-tissue --to optuna -o sqlite:///studies.db
    """
    found = found_study(source, study)
    if to is Target.CSV:
        where = Path(out or f"{found.name}.csv")
        write_file(where, written([trial_record(trial) for trial in found.trials], Format.CSV).encode())
        typer.echo(f"{len(found.trials)} trials written to {where}")
    else:
        url = out if "://" in out else f"sqlite:///{out or f'{found.name}.db'}"
        typer.echo(f"{_to_optuna(found, url)} trials written to {url} as the study {found.name}")


def _to_optuna(found: StudyObjects, url: str) -> int:
    try:
        from hpo_operator.cli import optuna_study
    except ImportError:
        raise Mistake("--to optuna needs the package optuna: pip install optuna") from None
    from hpo_operator.studies.typed_objects import engine_view

    return optuna_study.store(engine_view(found), url)
