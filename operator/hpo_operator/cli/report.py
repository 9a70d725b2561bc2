"""``hpo report`` and ``hpo plot``: what came of a study, as a page or as one picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from threadpoolctl import threadpool_limits

from hpo_operator.cli.export import engine_view
from hpo_operator.cli.objects import StudyObjects
from hpo_operator.cli.replay import ClusterOption, NamespaceOption, ObjectsOption, StateOption
from hpo_operator.cli.show import STATE, StudyArgument, found_study, sentences
from hpo_operator.cli.stored_objects import Source, SourceError

if TYPE_CHECKING:
    from hpo_operator.report.evidence import Evidence, FinalModel
    from hpo_operator.report.svg import Plot

KINDS = ("history", "curves", "parallel", "importance", "front")


def report(
    study: StudyArgument,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write; default: STUDY.html.")] = None,
    date: Annotated[str, typer.Option(help="A date to show; without one the same study gives the same file.")] = "",
    state: StateOption = STATE,
    objects: ObjectsOption = None,
    cluster: ClusterOption = False,
    namespace: NamespaceOption = "default",
) -> None:
    """Write what came of a study as one HTML file: words, plots with their numbers, cost, provenance.

    It needs no network and no script, and includes the results of hpo finalize if that was run here.

    Example: hpo report brain-tissue -o brain-tissue.html
    """
    with sentences(), threadpool_limits(limits=1):
        evidence = _evidence(found_study(study, Source(state, objects, cluster, namespace)), date)
        from hpo_operator.report.page import page

        where = out or Path(f"{evidence.stored.name}.html")
        _write(where, page(evidence).encode())
        typer.echo(f"written to {where}")


def plot(
    study: StudyArgument,
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="PNG file; default: STUDY-KIND.png.")] = None,
    state: StateOption = STATE,
    objects: ObjectsOption = None,
    cluster: ClusterOption = False,
    namespace: NamespaceOption = "default",
) -> None:
    """Draw one plot of the report as a PNG. Exit code 1 where there is nothing to draw yet.

    Example: hpo plot brain-tissue importance -o importance.png
    """
    with sentences(), threadpool_limits(limits=1):
        if kind not in KINDS:
            raise SourceError(f"{kind}: no such plot; expected one of {', '.join(KINDS)}")
        evidence = _evidence(found_study(study, Source(state, objects, cluster, namespace)), "")
        drawn = _plot(kind, evidence)
        if drawn is None:
            typer.echo(f"{evidence.stored.name}: too little was measured for the plot {kind}", err=True)
            raise typer.Exit(1)
        from hpo_operator.report.svg import png

        where = out or Path(f"{evidence.stored.name}-{kind}.png")
        _write(where, png(drawn))
        typer.echo(f"written to {where}")


def _plot(kind: str, evidence: Evidence) -> Plot | None:
    from hpo_operator.report.plots.curves import curves
    from hpo_operator.report.plots.front import front
    from hpo_operator.report.plots.history import history
    from hpo_operator.report.plots.importance import importance
    from hpo_operator.report.plots.parallel import parallel

    return dict(zip(KINDS, (history, curves, parallel, importance, front), strict=True))[kind](evidence)


def _evidence(found: StudyObjects, date: str) -> Evidence:
    """Raises SourceError: matplotlib is not installed, or the study is none."""
    if find_spec("matplotlib") is None:
        raise SourceError("this command needs matplotlib: pip install 'hpo-operator[demo]'")
    from hpo_operator.report.evidence import Evidence

    final = None if found.folder is None else _final(found.folder / "final")
    return Evidence(engine_view(found), found.study, _version(), tuple(_images(found)), final, date)


def _version() -> str:
    try:
        return version("hpo-operator")
    except PackageNotFoundError:
        return "unknown"


def _images(found: StudyObjects) -> Iterator[str]:
    """Images that the Pods ran, each once; with its digest if the node told it."""
    seen = set()
    for pod in found.pods:
        told = _mapping(pod.get("status")).get("containerStatuses") or []
        asked = _mapping(pod.get("spec")).get("containers") or []
        digests = {one.get("name"): one.get("imageID") for one in told if isinstance(one, Mapping)}
        for container in (one for one in asked if isinstance(one, Mapping)):
            words = " ".join(filter(None, (str(container.get("image", "")), digests.get(container.get("name")))))
            if words and words not in seen:
                seen.add(words)
                yield words


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _final(folder: Path) -> FinalModel | None:
    """What ``hpo finalize`` wrote there; None: nothing. Raises SourceError: it cannot be read."""
    from hpo_operator.report.evidence import FinalModel

    figures = folder / "figures.json"
    if not figures.is_file():
        return None
    try:
        told = json.loads(figures.read_text())
        pictures = {path.name: path.read_bytes() for path in sorted((folder / "pictures").glob("*.png"))}
    except (OSError, ValueError) as error:
        raise SourceError(f"{figures}: expected what `hpo finalize` wrote: {error}") from None
    return FinalModel(told if isinstance(told, dict) else {}, pictures)


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
