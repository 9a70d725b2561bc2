"""What the commands share: options that say where a study's objects are, exit codes, and sentences for mistakes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from hpo_operator.mistakes import Mistake
from hpo_operator.studies.objects import StudyObjects, find_study
from hpo_operator.studies.stored_objects import Source

FAILED, INVALID, INTERRUPTED = 1, 2, 130
"""Exit codes beside 0: the study, or what was asked, failed; something given is wrong; told to stop."""
STATE = Path(".hpo")

StudyArgument = Annotated[str, typer.Argument(help="A study's file, its name, or the folder of its state.")]
StateOption = Annotated[Path, typer.Option(help="Folder for the state of studies.")]
ObjectsOption = Annotated[
    Path | None,
    typer.Option("--objects", "-f", help="A file by kubectl get hpostudies,hpotrials -o yaml, instead of a folder."),
]
ClusterOption = Annotated[
    bool, typer.Option("--cluster/--local", help="Read from the cluster that kubectl talks to, or on this machine.")
]
NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", help="Of the study in the cluster; absent: of kubectl's context.")
]
VolumeOption = Annotated[
    list[str], typer.Option(help="CLAIM=DIR: this directory stands in for a volume claim; may be repeated.")
]
SOURCE_OPTIONS = {
    "state": (StateOption, STATE),
    "objects": (ObjectsOption, None),
    "cluster": (ClusterOption, False),
    "namespace": (NamespaceOption, ""),
}


@contextmanager
def sentences() -> Iterator[None]:
    """A user's mistake ends the command with its sentence and exit code 2."""
    try:
        yield
    except Mistake as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(INVALID) from None


def found_study(source: Source, target: str) -> StudyObjects:
    """The study that ``target`` means, with a warning for each trial that cannot be read. Raises Mistake."""
    found = find_study(source, target)
    for note in found.notes:
        typer.echo(f"warning: {note}", err=True)
    return found


def reads_objects(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options that make a ``Source``, in place of its parameter ``source``; in ``sentences``."""

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        source = Source(**{name: given.pop(name) for name in SOURCE_OPTIONS})
        with sentences():
            command(**given, source=source)

    own = inspect.signature(command, eval_str=True)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in SOURCE_OPTIONS.items()
    ]
    parameters = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, p in own.parameters.items() if name != "source"
    ]
    parameters += options
    with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_options
