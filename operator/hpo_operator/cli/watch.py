"""``hpo watch``: a study on the terminal while it runs, here in another process or on a cluster."""

from __future__ import annotations

import asyncio
import signal
from contextlib import aclosing
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme

from hpo_operator.cli.followed import changes
from hpo_operator.cli.options import FAILED, INTERRUPTED, INVALID, StudyArgument, reads_objects
from hpo_operator.cli.table import study_view
from hpo_operator.mistakes import write_file
from hpo_operator.studies.objects import StudyObjects, find_study
from hpo_operator.studies.stored_objects import Source

TICK_SECONDS, LEAST_SECONDS = 1.0, 0.2
"""A frame at least this often, since times pass; and at most that often."""
PICTURE_WIDTH = 120
_COLOURS = [(36, 41, 47), (207, 34, 46), (17, 99, 41), (154, 103, 0), (9, 105, 218), (130, 80, 223), (27, 124, 131)]
LIGHT = TerminalTheme((255, 255, 255), (36, 41, 47), [*_COLOURS, (110, 119, 129)])
"""SVG_EXPORT_THEME is dark."""


@reads_objects
def watch(
    study: StudyArgument,
    source: Source,
    once: Annotated[bool, typer.Option("--once", help="Show how it is now, and end.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write how it is now as an SVG file, and end.")] = None,
) -> None:
    """Watch a study: budget, best so far, trials under way. Ends with the study, and with `hpo run`'s exit code.

    Examples: hpo watch brain-tissue; hpo watch brain-tissue --cluster -n research
    """
    if once or picture or source.objects is not None:  # a file of objects does not change
        found = find_study(source, study)
        if picture is not None:
            write_file(picture, drawn(found, datetime.now(UTC)).encode())
        else:
            Console().print(study_view(found, datetime.now(UTC)), highlight=False)
        return
    raise typer.Exit(asyncio.run(_watched(source, study)))


def drawn(found: StudyObjects, now: datetime, dark: bool = False) -> str:
    """The view as SVG."""
    console = Console(record=True, width=PICTURE_WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(study_view(found, now), highlight=False)
    return console.export_svg(title=f"hpo watch {found.name}", theme=SVG_EXPORT_THEME if dark else LIGHT)


async def _watched(source: Source, target: str) -> int:
    """The exit code: of the study, or of the interruption. Raises Mistake."""
    stop, console = asyncio.Event(), Console()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    async with aclosing(changes(source, target)) as following:
        stopped = asyncio.create_task(stop.wait())
        found = await anext(following)
        with Live(console=console, auto_refresh=False) as live:
            coming = asyncio.ensure_future(anext(following))
            try:
                while (code := exit_code(found)) is None and not stopped.done():
                    live.update(study_view(found, datetime.now(UTC), console.height - 1), refresh=True)
                    await asyncio.sleep(LEAST_SECONDS)
                    await asyncio.wait([coming, stopped], timeout=TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                    if coming.done():
                        found = coming.result()
                        coming = asyncio.ensure_future(anext(following))
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
                stopped.cancel()
            live.update(study_view(found, datetime.now(UTC)), refresh=True)
    return INTERRUPTED if code is None else code


def exit_code(found: StudyObjects) -> int | None:
    """Of `hpo run`; None while the study goes on, or the operator has not looked at its latest spec."""
    status = found.study.get("status") or {}
    if status.get("observedGeneration", 0) < found.study["metadata"].get("generation", 1):
        return None
    return {"Succeeded": 0, "Failed": FAILED, "Invalid": INVALID}.get(status.get("phase", "Pending"))
