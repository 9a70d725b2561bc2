"""``hpo run``: a study on this machine, each trial a process."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from threadpoolctl import threadpool_limits

from hpo_operator.cli.news import News, first_failure
from hpo_operator.cli.options import FAILED, INTERRUPTED, INVALID, STATE, StateOption, VolumeOption, sentences
from hpo_operator.cli.table import study_view
from hpo_operator.local.claims import parse_claims
from hpo_operator.local.oversights import empty_data
from hpo_operator.local.run import LocalSettings, open_store, run_study
from hpo_operator.local.store import ObjectStore, exclusive
from hpo_operator.local.trainer_process import source_roots
from hpo_operator.mistakes import write_file
from hpo_operator.settings import read_servers
from hpo_operator.studies.objects import StudyObjects, find_study
from hpo_operator.studies.stored_objects import Source
from hpo_operator.studies.study_file import one_study


def run(
    file: Annotated[Path, typer.Argument(help="The study file, the very one that kubectl applies.")],
    state: StateOption = STATE,
    volume: VolumeOption = [],  # noqa: B006
    prometheus: Annotated[str, typer.Option(help="NAME=URL: a Prometheus server that the study may ask.")] = "",
    fresh: Annotated[bool, typer.Option(help="Forget what the study has done so far.")] = False,
    plain: Annotated[bool, typer.Option(help="No live table and no lines of progress, only the last state.")] = False,
) -> None:
    """Run a study on this machine: no cluster, each trial a process. Ctrl-C stops it safely; run again to go on.

    Example: hpo run study.yaml --volume mri-data=./data
    """
    with sentences():
        manifest = one_study(file)
        claims, servers = parse_claims(volume), read_servers(prometheus, "--prometheus")
        name = manifest["metadata"]["name"]
        folder = state / name
        settings = LocalSettings(folder, claims, os.environ, source_roots(), prometheus=servers)
        with exclusive(folder):
            store = open_store(manifest, settings, fresh)
            if missing := empty_data(manifest, claims, state):
                typer.echo(f"warning: {missing}", err=True)
            interrupted = asyncio.run(_run_shown(store, name, settings, plain))
        raise typer.Exit(_told(store, name, folder, interrupted))


async def _run_shown(store: ObjectStore, name: str, settings: LocalSettings, plain: bool) -> bool:
    """True when a signal ended it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    console = Console()
    news = News()
    with threadpool_limits(limits=1), Live(console=console, auto_refresh=False, screen=False) as live:

        def show() -> None:
            if plain:
                return
            if console.is_terminal:
                live.update(_view(store, name, console.height - 1), refresh=True)
            elif line := news.line(_objects(store, name), time.monotonic()):
                print(line, flush=True)

        await run_study(store, name, settings, stop, show)
        live.update(_view(store, name), refresh=True)
    if not console.is_terminal:
        print()  # which ends the last line of the view there
    return stop.is_set()


def _view(store: ObjectStore, name: str, height: int | None = None) -> Any:
    return study_view(_objects(store, name), datetime.now(UTC), height)


def _objects(store: ObjectStore, name: str) -> StudyObjects:
    study = store.get("study", name)
    assert study is not None  # put there by open_store
    return StudyObjects(study, tuple(store.all("trials")))


def _told(store: ObjectStore, name: str, folder: Path, interrupted: bool) -> int:
    study = store.get("study", name) or {}
    status = study.get("status") or {}
    best = status.get("best")
    if best:
        print(f"\nbest {study['spec']['objective']['metric']} {best['value']:.6g} by {best['trial']}")
        for parameter, value in best["parameters"].items():
            print(f"  {parameter} = {value}")
    if find_spec("matplotlib") is not None and _draw_history(folder):
        print(f"history: {folder / 'history.png'}")
    for line in first_failure(store, folder):
        print(line)
    print("logs:    hpo logs TRIAL" + ("" if folder.parent == STATE else f" --state {folder.parent}"))
    if interrupted:
        print("interrupted; run the same command to go on")
        return INTERRUPTED
    if status.get("phase") == "Invalid":
        typer.echo(f"{status['reason']}: {status['message']}\nuse --fresh to start over", err=True)
        return INVALID
    return 0 if status.get("phase") == "Succeeded" else FAILED


def _draw_history(folder: Path) -> bool:
    from hpo_operator.cli.report import drawn  # matplotlib may not be installed

    picture = drawn("history", find_study(Source(folder.parent), folder.name))
    if picture is not None:
        write_file(folder / "history.png", picture)
    return picture is not None
