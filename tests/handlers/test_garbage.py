"""What stays is set aside from the collector, and nothing is lost sight of for good."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress

from hpo_operator.handlers.garbage import GROWTH, LEAST_GROWTH, SET_ASIDE_SECONDS, keep_set_aside
from kube.virtual_time import run


class Node:
    """One in a cycle, which only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


async def story() -> None:
    assert gc.get_freeze_count() == 0
    work = asyncio.create_task(keep_set_aside())
    await asyncio.sleep(0)
    before = gc.get_freeze_count()
    assert before > 0

    node = Node()
    seen = weakref.ref(node)
    await asyncio.sleep(2 * SET_ASIDE_SECONDS)
    assert not any(each is node for each in gc.get_objects())  # collections do not walk through it
    del node
    gc.collect()
    assert seen() is not None
    await asyncio.sleep(2 * SET_ASIDE_SECONDS)
    assert seen() is not None
    ballast: list[list[int]] = [[] for _ in range(int((GROWTH - 1) * before) + LEAST_GROWTH)]
    await asyncio.sleep(2 * SET_ASIDE_SECONDS)
    assert seen() is None
    assert len(ballast) > LEAST_GROWTH

    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    assert gc.get_freeze_count() == 0


def test_what_stays_is_set_aside_until_the_next_full_collection() -> None:
    run(story())
