"""Python's collector of cyclic garbage, kept away from what stays.

Thousands of trials are a quarter of a million objects that live for hours, in no cycle. A full collection walks through
all of them, with the event loop standing still, and comes again whenever a quarter as many have survived for a moment:
under load it was 40 % of the operator's work. So what is there is set aside every minute, and collections walk through
what came since. Reference counts free what was set aside all the same. Only cycles that were alive at such a moment and
die later wait for the next full collection, when what is set aside has grown by a quarter.
https://docs.python.org/3/library/gc.html#gc.freeze
"""

from __future__ import annotations

import asyncio
import gc
import logging

log = logging.getLogger(__name__)

SET_ASIDE_SECONDS = 60.0
GROWTH, LEAST_GROWTH = 1.25, 100_000
"""A full collection is due when so many times the objects, and so many more, are set aside as after the last one."""


async def keep_set_aside() -> None:
    """For ever; when cancelled, nothing is set aside any more."""
    try:
        while True:
            gc.unfreeze()
            found = gc.collect()
            gc.freeze()
            before = gc.get_freeze_count()
            log.info("%d objects are set aside, after %d in cycles were freed", before, found)
            while gc.get_freeze_count() < max(GROWTH * before, before + LEAST_GROWTH):
                await asyncio.sleep(SET_ASIDE_SECONDS)
                gc.freeze()
    finally:
        gc.unfreeze()
