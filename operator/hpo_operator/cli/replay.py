"""``hpo replay``: every decision of a study made again from its stored objects, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from threadpoolctl import threadpool_limits

from hpo_operator.cli.stored_objects import Source, SourceError
from hpo_operator.reconcile.replay import replay as made_again

DIFFERENT, INVALID = 1, 2

StateOption = Annotated[Path, typer.Option(help="Folder for the state of studies.")]
ObjectsOption = Annotated[
    Path | None,
    typer.Option("--objects", "-f", help="A file by kubectl get hpostudies,hpotrials -o yaml, instead of a folder."),
]
ClusterOption = Annotated[bool, typer.Option("--cluster", help="Read from the cluster that kubectl talks to.")]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Of the study in the cluster.")]


def replay(
    study: Annotated[str, typer.Argument(help="A study's file, its name, or the folder of its state.")],
    state: StateOption = Path(".hpo"),
    objects: ObjectsOption = None,
    cluster: ClusterOption = False,
    namespace: NamespaceOption = "default",
) -> None:
    """Make every decision of a study again from its stored objects: what was tried, promoted and stopped, and why.

    Needs the version of hpo that made the decisions. Exit codes: 0 all is as recorded, 1 something is not (the first
    such thing is told), 2 something given is wrong.

    Example: hpo replay study.yaml; hpo replay brain-tissue --cluster
    """
    try:
        stored = Source(state, objects, cluster, namespace).load(study)
    except SourceError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(INVALID) from None
    with threadpool_limits(limits=1):  # as the operator decides, or the last digits may differ
        again = made_again(stored.study, stored.trials)
    for note in again.notes:
        typer.echo(note)
    numbers = f"{again.trials} trials, {again.decisions} decisions"
    if again.difference is None:
        typer.echo(f"{numbers}: all as recorded")
        return
    typer.echo(f"{numbers}: the first difference is at {again.difference}")
    raise typer.Exit(DIFFERENT)
