"""``hpo export``: a study's trials for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo_operator.api.errors import InvalidObject
from hpo_operator.cli.objects import StudyObjects
from hpo_operator.cli.records import Format, trial_record, written
from hpo_operator.cli.replay import ClusterOption, NamespaceOption, ObjectsOption, StateOption
from hpo_operator.cli.show import STATE, StudyArgument, found_study, sentences
from hpo_operator.cli.stored_objects import Source, SourceError

if TYPE_CHECKING:
    from hpo_operator.report.stored_study import StoredStudy


class Target(StrEnum):
    CSV, OPTUNA = "csv", "optuna"


def export(
    study: StudyArgument,
    to: Annotated[Target, typer.Option(help="csv: a row for each trial. optuna: a study in an Optuna storage.")],
    out: Annotated[
        str, typer.Option("--out", "-o", help="A file; for optuna also a URL. Default: STUDY.csv or .db")
    ] = "",
    state: StateOption = STATE,
    objects: ObjectsOption = None,
    cluster: ClusterOption = False,
    namespace: NamespaceOption = "default",
) -> None:
    """Write a study's trials for other programs: pandas, a spreadsheet, optuna-dashboard.

    Examples: hpo export brain-tissue --to csv; hpo export brain-tissue --to optuna -o sqlite:///studies.db
    """
    with sentences():
        found = found_study(study, Source(state, objects, cluster, namespace))
        if to is Target.CSV:
            where = Path(out or f"{found.name}.csv")
            _write(where, written([trial_record(trial) for trial in found.trials], Format.CSV))
            typer.echo(f"{len(found.trials)} trials written to {where}")
        else:
            url = out if "://" in out else f"sqlite:///{out or f'{found.name}.db'}"
            typer.echo(f"{_to_optuna(found, url)} trials written to {url} as the study {found.name}")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None


def _to_optuna(found: StudyObjects, url: str) -> int:
    try:
        from hpo_operator.cli import optuna_study
    except ImportError:
        raise SourceError("--to optuna needs the package optuna: pip install optuna") from None
    return optuna_study.store(engine_view(found), url)


def engine_view(found: StudyObjects) -> StoredStudy:
    """The study as the engine sees it. Raises SourceError: its spec is none."""
    # Imported here: the engine's statistics double the start-up time of every other command.
    from datetime import UTC, datetime

    from hpo_operator.report.stored_study import understood

    try:
        return understood(found.study, found.trials, datetime.now(UTC))
    except InvalidObject as error:
        raise SourceError(f"{found.name}: {error}") from None
