"""The command ``hpo``: what a user types. A user's mistake is a sentence and an exit code, never a traceback.

Exit codes: 0 well, 1 the study failed, 2 a file or an argument is wrong, 130 interrupted (run again to go on).
"""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from threadpoolctl import threadpool_limits

from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study
from hpo_operator.cli.claims import ClaimError, parse_claims
from hpo_operator.cli.data import data
from hpo_operator.cli.explain import explain
from hpo_operator.cli.export import export
from hpo_operator.cli.finalize import finalize
from hpo_operator.cli.history_plot import save_history
from hpo_operator.cli.init import init
from hpo_operator.cli.replay import replay
from hpo_operator.cli.report import plot, report
from hpo_operator.cli.show import best, list_studies, logs, show, trials
from hpo_operator.cli.study_file import StudyFileError, read_study_files
from hpo_operator.cli.table import study_view
from hpo_operator.cli.trainer_process import source_roots
from hpo_operator.local.run import LocalSettings, open_store, run_study
from hpo_operator.local.store import InUseError, ObjectStore, exclusive
from hpo_operator.settings import SettingsError, read_servers

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    help="Hyper-parameter studies, here or on a cluster.",
)
app.command()(init)
app.command()(finalize)
app.command()(replay)
app.command()(explain)
app.command("list")(list_studies)
for command in (show, trials, best, logs, export, report, plot):
    app.command()(command)
app.add_typer(data, name="data")
errors = Console(stderr=True)
INVALID, INTERRUPTED = 2, 130


@app.command()
def validate(files: Annotated[list[Path], typer.Argument(help="Study files.")]) -> None:
    """Say what is wrong with study files, as the cluster would.

    Example: hpo validate study.yaml
    """
    wrong = 0
    for path in files:
        problems = _problems(path)
        wrong += bool(problems)
        for problem in problems:
            errors.print(f"{path}: {problem}", markup=False, highlight=False, soft_wrap=True)
        if not problems:
            print(f"{path}: valid")
    raise typer.Exit(INVALID if wrong else 0)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="The study file, the very one that kubectl applies.")],
    state: Annotated[Path, typer.Option(help="Folder for the state of studies; a study found there goes on.")] = Path(
        ".hpo"
    ),
    volume: Annotated[list[str], typer.Option(help="CLAIM=DIR: this directory stands in for a volume claim.")] = [],  # noqa: B006
    prometheus: Annotated[str, typer.Option(help="NAME=URL: a Prometheus server that the study may ask.")] = "",
    fresh: Annotated[bool, typer.Option(help="Forget what the study has done so far.")] = False,
    plain: Annotated[bool, typer.Option(help="No live table, only its last state.")] = False,
) -> None:
    """Run a study on this machine: no cluster, each trial a process. Ctrl-C stops it safely; run again to go on.

    Example: hpo run study.yaml --volume mri-data=./data
    """
    manifest = _load(file)
    try:
        claims, servers = parse_claims(volume), read_servers(prometheus, "--prometheus")
    except (ClaimError, SettingsError) as error:
        errors.print(str(error), markup=False, highlight=False)
        raise typer.Exit(INVALID) from None
    folder = state / manifest["metadata"]["name"]
    settings = LocalSettings(folder, claims, os.environ, source_roots(), prometheus=servers)
    name = manifest["metadata"]["name"]
    try:
        with exclusive(folder):
            store = open_store(manifest, settings, fresh)
            interrupted = asyncio.run(_run_shown(store, name, settings, plain))
    except InUseError as error:
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(INVALID) from None
    raise typer.Exit(_report(store, name, folder, interrupted))


@app.command()
def analyse(
    study: Annotated[str, typer.Argument(help="A study's file, its name, or the folder of its state.")],
    state: Annotated[Path, typer.Option(help="Folder for the state of studies.")] = Path(".hpo"),
    plot: Annotated[Path | None, typer.Option(help="Draw what the model believes along each parameter (PNG).")] = None,
) -> None:
    """Say what a study's history tells: which parameters matter, what the model believes, whether to stop now.

    Example: hpo analyse study.yaml --plot beliefs.png
    """
    # Imported here, since scipy.stats would double the start-up time of every other command.
    from hpo_operator.cli.analysis import AnalysisError, analysis_view, load_study, plot_beliefs

    name = _load(Path(study))["metadata"]["name"] if Path(study).is_file() else study
    try:
        with threadpool_limits(limits=1):
            stored = load_study(name, state, datetime.now(UTC))
            Console().print(analysis_view(stored), highlight=False)
            if plot is not None:
                plot_beliefs(stored, plot)
    except AnalysisError as error:
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(INVALID) from None


async def _run_shown(store: ObjectStore, name: str, settings: LocalSettings, plain: bool) -> bool:
    """True when a signal ended it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    console = Console()
    with threadpool_limits(limits=1), Live(console=console, auto_refresh=False, screen=False) as live:

        def show() -> None:
            if not plain:
                live.update(_view(store, name, max(5, console.height - 6)), refresh=True)

        await run_study(store, name, settings, stop, show)
        live.update(_view(store, name, 1000), refresh=True)
    return stop.is_set()


def _view(store: ObjectStore, name: str, rows: int) -> Any:
    study = store.get("study", name)
    assert study is not None  # put there by open_store
    return study_view(study, store.all("trials"), rows)


def _report(store: ObjectStore, name: str, folder: Path, interrupted: bool) -> int:
    study = store.get("study", name) or {}
    status = study.get("status") or {}
    best = status.get("best")
    if best:
        print(f"\nbest {study['spec']['objective']['metric']} {best['value']:.6g} by {best['trial']}")
        for parameter, value in best["parameters"].items():
            print(f"  {parameter} = {value}")
    picture = folder / "history.png"
    if save_history(study, store.all("trials"), picture):
        print(f"history: {picture}")
    print(f"logs:    {folder}/processes/POD/log")
    if interrupted:
        print("interrupted; run the same command to go on")
        return INTERRUPTED
    if status.get("phase") == "Invalid":
        errors.print(f"{status['reason']}: {status['message']}", markup=False, highlight=False, soft_wrap=True)
        errors.print("use --fresh to start over", highlight=False)
        return INVALID
    return 0 if status.get("phase") == "Succeeded" else 1


def _problems(path: Path) -> list[str]:
    try:
        documents = read_study_files(path)
    except StudyFileError as error:
        return [str(error).removeprefix(f"{path}: ")]
    problems: list[str] = []
    for document in documents:
        try:
            parse_study(document)
        except InvalidObject as error:
            problems.extend(map(str, error.errors))
    return problems


def _load(path: Path) -> dict[str, Any]:
    """The one valid study of a file, or the end of the program with what is wrong."""
    problems = _problems(path)
    documents = [] if problems else read_study_files(path)
    if len(documents) > 1:
        problems = [f"expected one study, found {len(documents)}"]
    if problems:
        for problem in problems:
            errors.print(f"{path}: {problem}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(INVALID)
    return documents[0]


def main() -> None:
    app()


if __name__ == "__main__":
    main()
