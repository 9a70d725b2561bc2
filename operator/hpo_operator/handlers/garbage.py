"""Python's collector of cyclic garbage, kept away from what stays.

Thousands of trials are half a million objects that live for hours, in no cycle. A full collection walks through all of
them, with the event loop standing still, and comes again whenever a quarter as many have survived for a moment: under
load it was 40 % of the operator's work. So what is there is set aside every few seconds, and collections walk through
what came since. Reference counts free what was set aside all the same; only cycles that die later wait for the full
collection, which is rare. https://docs.python.org/3/library/gc.html#gc.freeze
"""

from __future__ import annotations

import asyncio
import gc

SET_ASIDE_SECONDS = 5.0
FULL_SECONDS = 1800.0


async def keep_set_aside() -> None:
    """For ever; when cancelled, nothing is set aside any more."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            gc.unfreeze()
            gc.collect()
            full_due = loop.time() + FULL_SECONDS
            while loop.time() < full_due:
                gc.freeze()
                await asyncio.sleep(SET_ASIDE_SECONDS)
    finally:
        gc.unfreeze()
