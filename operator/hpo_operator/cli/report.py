"""``hpo report`` and ``hpo plot``: what came of a study, as a page or as one picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from threadpoolctl import threadpool_limits

from hpo_operator.api.raw import mapping
from hpo_operator.cli.options import FAILED, StudyArgument, found_study, reads_objects
from hpo_operator.mistakes import Mistake, write_file
from hpo_operator.report.evidence import Evidence, FinalModel
from hpo_operator.report.page import page
from hpo_operator.report.plots.curves import curves
from hpo_operator.report.plots.front import front
from hpo_operator.report.plots.history import history
from hpo_operator.report.plots.importance import importance
from hpo_operator.report.plots.parallel import parallel
from hpo_operator.report.plots.slices import all_slices
from hpo_operator.report.svg import Plot, png
from hpo_operator.studies.objects import StudyObjects
from hpo_operator.studies.stored_objects import Source
from hpo_operator.studies.typed_objects import engine_view
from hpo_operator.version import installed_version

KINDS: Mapping[str, Callable[[Evidence], Plot | None]] = {
    "history": history,
    "curves": curves,
    "parallel": parallel,
    "importance": importance,
    "front": front,
    "slices": all_slices,
}


@reads_objects
def report(
    study: StudyArgument,
    source: Source,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write; default: STUDY.html.")] = None,
    date: Annotated[str, typer.Option(help="A date to show; without one the same study gives the same file.")] = "",
) -> None:
    """Write what came of a study as one HTML file: words, plots with their numbers, cost, provenance.

    It needs no network and no script, and includes the results of hpo finalize if that was run here.

    Example: hpo report brain-tissue -o brain-tissue.html
    """
    with threadpool_limits(limits=1):
        evidence = evidence_of(found_study(source, study), date)
        where = out or Path(f"{evidence.stored.name}.html")
        write_file(where, page(evidence).encode())
        typer.echo(f"written to {where}")


@reads_objects
def plot(
    study: StudyArgument,
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    source: Source,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="PNG file; default: STUDY-KIND.png.")] = None,
) -> None:
    """Draw one plot of the report as a PNG. Exit code 1 where there is nothing to draw yet.

    Example: hpo plot brain-tissue importance -o importance.png
    """
    with threadpool_limits(limits=1):
        if kind not in KINDS:
            raise Mistake(f"{kind}: no such plot; expected one of {', '.join(KINDS)}")
        found = found_study(source, study)
        picture = drawn(kind, found)
        if picture is None:
            typer.echo(f"{found.name}: too little was measured for the plot {kind}", err=True)
            raise typer.Exit(FAILED)
        where = out or Path(f"{found.name}-{kind}.png")
        write_file(where, picture)
        typer.echo(f"written to {where}")


def drawn(kind: str, found: StudyObjects) -> bytes | None:
    """One of ``KINDS`` as a PNG; None: too little was measured."""
    plotted = KINDS[kind](evidence_of(found))
    return None if plotted is None else png(plotted)


def evidence_of(found: StudyObjects, date: str = "") -> Evidence:
    """Raises Mistake: matplotlib is not installed, or the study is none."""
    if find_spec("matplotlib") is None:
        raise Mistake("this command needs matplotlib: pip install 'hpo-operator[demo]'")
    final = None if found.folder is None else _final(found.folder / "final")
    return Evidence(engine_view(found), found.study, installed_version(), tuple(_images(found)), final, date)


def _images(found: StudyObjects) -> Iterator[str]:
    """Images that the Pods ran, each once; with its digest if the node told it."""
    seen = set()
    for pod in found.pods:
        told = mapping(pod.get("status")).get("containerStatuses") or []
        asked = mapping(pod.get("spec")).get("containers") or []
        digests = {one.get("name"): one.get("imageID") for one in told if isinstance(one, Mapping)}
        for container in (one for one in asked if isinstance(one, Mapping)):
            words = " ".join(filter(None, (str(container.get("image", "")), digests.get(container.get("name")))))
            if words and words not in seen:
                seen.add(words)
                yield words


def _final(folder: Path) -> FinalModel | None:
    """What ``hpo finalize`` wrote there; None: nothing. Raises Mistake: it cannot be read."""
    figures = folder / "figures.json"
    if not figures.is_file():
        return None
    try:
        told = json.loads(figures.read_text())
        pictures = {path.name: path.read_bytes() for path in sorted((folder / "pictures").glob("*.png"))}
    except (OSError, ValueError) as error:
        raise Mistake(f"{figures}: expected what `hpo finalize` wrote: {error}") from None
    return FinalModel(told if isinstance(told, dict) else {}, pictures)
