"""A study run on this machine from a program that may have an event loop of its own, as a notebook has."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from hpo_operator.local.run import LocalSettings, open_store, run_study
from hpo_operator.local.store import ObjectStore, exclusive
from hpo_operator.local.trainer_process import source_roots
from hpo_operator.mistakes import Mistake


def run_here(
    manifest: Mapping[str, Any],
    folder: Path,
    volumes: Mapping[str, str | Path],
    fresh: bool,
    show: Callable[[], None],
) -> None:
    """Until the study has ended. An interrupt ends its processes in order first.

    Raises Mistake: another process works on ``folder``, or a volume is no directory.
    """
    claims = {claim: _directory(claim, Path(path)) for claim, path in volumes.items()}
    settings = LocalSettings(folder, claims, os.environ, source_roots())
    with exclusive(folder):
        store = open_store(manifest, settings, fresh)
        _serve(store, manifest["metadata"]["name"], settings, show)


def _directory(claim: str, path: Path) -> Path:
    if not path.is_dir():
        raise Mistake(f"volumes[{claim!r}]: expected a directory that exists, found {path}")
    return path.resolve()


def _serve(store: ObjectStore, name: str, settings: LocalSettings, show: Callable[[], None]) -> None:
    stops: list[Callable[[], object]] = []
    interrupts: list[KeyboardInterrupt] = []

    async def serve() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        if interrupts:
            stop.set()
        with threadpool_limits(limits=1):
            await run_study(store, name, settings, stop, show)

    _until_done(lambda: asyncio.run(serve()), stops, interrupts)
    if interrupts:
        raise interrupts[0]


def _until_done(
    call: Callable[[], None], stops: Sequence[Callable[[], object]], interrupts: list[KeyboardInterrupt]
) -> None:
    """``call()`` in a thread of its own. Interrupts are collected, and each asks all ``stops``."""
    with ThreadPoolExecutor(1, "hpo-run") as pool:
        future = pool.submit(call)
        while True:
            try:
                return future.result()
            except KeyboardInterrupt as interrupt:
                interrupts.append(interrupt)
                for stop in stops:
                    stop()
