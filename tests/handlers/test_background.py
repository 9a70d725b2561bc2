"""Work beside the watches ends with them, and its failure ends them."""

from __future__ import annotations

import asyncio

import pytest

from hpo_operator.handlers.background import beside


async def fail() -> None:
    await asyncio.sleep(0)
    raise LookupError("gone")


async def succeed() -> None:
    await asyncio.sleep(0)


def test_what_fails_stops_the_watches_and_is_raised() -> None:
    async def story() -> None:
        stop = asyncio.Event()
        async with asyncio.timeout(10), beside(stop, asyncio.sleep(3600), fail()):
            await stop.wait()

    with pytest.raises(LookupError, match="gone"):
        asyncio.run(story())


def test_work_ends_with_the_block() -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            told.append("ended")

    async def story() -> bool:
        stop = asyncio.Event()
        async with beside(stop, work(), succeed()):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        return stop.is_set()

    assert asyncio.run(story()) is False
    assert told == ["ended"]
