"""``hpo replay``: every decision of a study made again from its stored objects, and compared."""

from __future__ import annotations

import typer
from threadpoolctl import threadpool_limits

from hpo_operator.cli.options import FAILED, StudyArgument, reads_objects
from hpo_operator.reconcile.replay import replay as made_again
from hpo_operator.studies.stored_objects import Source
from hpo_operator.studies.typed_objects import typed_study


@reads_objects
def replay(study: StudyArgument, source: Source) -> None:
    """Make every decision of a study again from its stored objects: what was tried, promoted and stopped, and why.

    Needs the version of hpo that made the decisions. Exit codes: 0 all is as recorded, 1 something is not (the first
    such thing is told), 2 something given is wrong.

    Example: hpo replay study.yaml; hpo replay brain-tissue --cluster
    """
    stored = typed_study(source, study)
    with threadpool_limits(limits=1):  # as the operator decides, or the last digits may differ
        again = made_again(stored.study, stored.trials)
    for note in again.notes:
        typer.echo(note)
    numbers = f"{again.trials} trials, {again.decisions} decisions"
    if again.difference is None:
        typer.echo(f"{numbers}: all as recorded")
        return
    typer.echo(f"{numbers}: the first difference is at {again.difference}")
    raise typer.Exit(FAILED)
