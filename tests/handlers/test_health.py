"""/healthz: a late loop and a silent watch are told from a quiet cluster and from an API server that is away."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from hpo_operator.handlers.health import Health, listening

PODS = "/api/v1/pods"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def test_a_quiet_cluster_is_healthy(health: Health, clock: Clock) -> None:
    for _ in range(60):
        health.hear(PODS)  # a bookmark
        health.answer("200")
        clock.now += 60
        assert health.trouble() == ""
    assert health.watch_age("pods") == 60
    assert health.watch_age("hpotrials") == 0


def test_a_silent_watch_is_told_while_the_server_answers(health: Health, clock: Clock) -> None:
    health.hear(PODS)
    clock.now += 181
    health.answer("404")
    assert health.trouble() == "the watch of /api/v1/pods has been silent for 181 s, while the API server answers"
    health.hear(PODS)
    assert health.trouble() == ""


@pytest.mark.parametrize("code", ["none", "503"])
def test_no_restart_mends_an_api_server_that_is_away(health: Health, clock: Clock, code: str) -> None:
    health.hear(PODS)
    clock.now += 3600
    health.answer(code)
    assert health.trouble() == ""


def test_the_most_silent_of_several_namespaces_counts(health: Health, clock: Clock) -> None:
    health.hear("/api/v1/namespaces/a/pods")
    clock.now += 100
    health.hear("/api/v1/namespaces/b/pods")
    assert health.watch_age("pods") == 100


def test_a_late_loop_is_told(health: Health) -> None:
    health.lag = 31.0
    assert health.trouble() == "the event loop is 31 s late"


async def test_every_chunk_of_a_watch_is_heard_and_of_nothing_else(clock: Clock) -> None:
    """Over real HTTP, read as kopf reads."""
    go_on = asyncio.Event()

    async def pods(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{}\n")
        await go_on.wait()
        await response.write(b"{}\n")
        return response

    app = web.Application()
    app.add_routes([web.get(PODS, pods)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (address,) = runner.addresses
    heard: list[str] = []
    async with aiohttp.ClientSession(response_class=listening(heard.append)) as session:
        url = f"http://127.0.0.1:{address[1]}{PODS}"
        async with session.get(url, params={"watch": "true"}) as response:
            chunks = response.content.iter_chunked(1 << 20)
            await anext(chunks)
            assert heard == [PODS, PODS]  # its beginning and its first word
            go_on.set()
            assert [chunk async for chunk in chunks] == [b"{}\n"]
            assert heard == [PODS] * 3
        async with session.get(url) as response:
            assert await response.read() == b"{}\n{}\n"
    await runner.cleanup()
    assert heard == [PODS] * 3
