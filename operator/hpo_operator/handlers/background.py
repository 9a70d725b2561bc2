"""Work that goes on beside the watches, and that nobody would miss if it ended in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(stop: asyncio.Event, *work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Does ``work`` until the block ends. What fails sets ``stop``, and is raised after the block."""

    def look(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            stop.set()

    tasks = [asyncio.create_task(each) for each in work]
    for task in tasks:
        task.add_done_callback(look)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
    for task in tasks:
        if task.done():
            task.result()
