"""Questions to a Prometheus server over real HTTP: right, slow, huge, elsewhere, gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from hpo_operator.kube.prometheus import MAX_ANSWER_BYTES, ask
from hpo_operator.reconcile.queries import Answer, Found, Question, Unanswered
from stand.operator_process import free_port

AT = "2026-03-01T11:00:00Z"
ONE = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.0, "0.5"]}]}}


async def _api(request: web.Request) -> web.StreamResponse:
    """A server whose query says how it shall behave."""
    match request.query["query"]:
        case "late":
            await asyncio.sleep(30)
        case "huge":
            return web.Response(body=b" " * (MAX_ANSWER_BYTES + 1))
        case "elsewhere":
            raise web.HTTPFound("/api/v1/query?query=one")
    assert request.query["time"] == AT
    return web.json_response(ONE)


@pytest.fixture
async def address() -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([web.get("/prefix/api/v1/query", _api), web.get("/api/v1/query", _api)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def asked(address: str, text: str, server: str = "default") -> Answer:
    async with aiohttp.ClientSession() as session:
        return await ask(session, {"default": address}, Question("a-pod", server, text, AT, 1))


@pytest.mark.parametrize("path", ["", "/", "/prefix", "/prefix/"])
async def test_an_answer(address: str, path: str) -> None:
    assert await asked(address + path, "one") == Found(0.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("late", "did not answer within 1 s"),
        ("huge", "answered with more than 1048576 bytes"),
        ("elsewhere", "HTTP 302 without JSON: is this a Prometheus server?"),
    ],
)
async def test_no_answer(address: str, text: str, words: str) -> None:
    answer = await asked(address, text)
    assert isinstance(answer, Unanswered)
    assert words in answer.message


async def test_nobody_listens() -> None:
    answer = await asked(f"http://127.0.0.1:{free_port()}", "one")
    assert isinstance(answer, Unanswered)
    assert "Cannot connect" in answer.message


async def test_a_name_that_the_installation_lacks(address: str) -> None:
    answer = await asked(address, "one", server="lab")
    assert answer == Unanswered("the operator knows no Prometheus server 'lab'; it was installed with default")
