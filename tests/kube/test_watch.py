"""A plain watch tells of everything once, whatever becomes of its connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from hpo_operator.kube import watch
from hpo_operator.kube.client import ApiServer
from hpo_operator.kube.cluster import StudyKey
from hpo_operator.kube.lists import PIECE
from hpo_operator.kube.watch import ChildWatch
from kube.fake_api import FakeApi

Told = tuple[str, str, str | None, str]
LABELS = {"hpo.study/study": "demo"}
PATH = "/api/v1/namespaces/lab/pods"


class Listener:
    """What a watch of Pods tells, in order."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.heard: set[str] = set()
        self._news = asyncio.Event()

    def tell(self, key: StudyKey, event: str | None, raw: Any) -> None:
        self.told.append((key.namespace, key.name, event, raw["metadata"]["name"]))
        self._news.set()

    async def until(self, count: int) -> None:
        while len(self.told) < count:
            self._news.clear()
            await self._news.wait()


def put(api: FakeApi, name: str) -> None:
    api.put("pods", {"metadata": {"name": name, "labels": LABELS}})


async def watching(
    api: FakeApi, story: Callable[[Listener], Awaitable[None]], namespace: str | None = "lab"
) -> Listener:
    listener = Listener()
    async with api.served() as configuration, ApiServer(configuration) as server:
        child = ChildWatch(server, "pods", namespace, listener.tell, listener.heard.add)
        running = asyncio.create_task(child.run())
        async with asyncio.timeout(60):
            await story(listener)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return listener


def watches(api: FakeApi) -> list[dict[str, str]]:
    return [query for _, kind, query in api.asked if kind == "pods" and "watch" in query]


def lists(api: FakeApi) -> list[dict[str, str]]:
    return [query for _, kind, query in api.asked if kind == "pods" and "watch" not in query]


async def test_a_list_in_pieces_and_then_what_happens() -> None:
    api = FakeApi()
    for name in "abc":
        put(api, name)

    async def story(listener: Listener) -> None:
        await listener.until(3)
        put(api, "d")
        await listener.until(4)
        put(api, "a")
        await listener.until(5)

    listener = await watching(api, story)
    assert listener.told == [
        *(("lab", "demo", None, name) for name in "abc"),
        ("lab", "demo", "ADDED", "d"),
        ("lab", "demo", "MODIFIED", "a"),
    ]
    assert [query["limit"] for query in lists(api)] == [str(PIECE)] * 2
    assert {query["labelSelector"] for query in (*lists(api), *watches(api))} == {"hpo.study/study"}
    assert listener.heard == {PATH}


async def test_a_watch_that_ends_is_followed_by_one_from_there_without_a_list() -> None:
    api = FakeApi()
    put(api, "a")

    async def fault(request: web.Request) -> web.StreamResponse | None:
        """Each watch ends after its first event."""
        if not request.query.get("watch"):
            return None
        start = int(request.query["resourceVersion"])
        later = [raw for raw in api.objects["pods"].values() if int(raw["metadata"]["resourceVersion"]) > start]
        lines = [json.dumps({"type": "ADDED", "object": raw}) for raw in later[:1]]
        return web.Response(text="".join(f"{line}\n" for line in lines))

    api.fault = fault

    async def story(listener: Listener) -> None:
        for count, name in enumerate("bcd", 1):
            await listener.until(count)
            put(api, name)
        await listener.until(4)

    listener = await watching(api, story)
    assert [name for *_, name in listener.told] == ["a", "b", "c", "d"]
    assert len(lists(api)) == 1
    assert {"1", "2", "3"} <= {query["resourceVersion"] for query in watches(api)}


async def test_what_the_server_has_forgotten_is_listed_anew() -> None:
    """As an event of the watch and as an HTTP status, which servers use by turns."""
    api = FakeApi()
    put(api, "a")
    refusals = [
        web.Response(text=json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}) + "\n"),
        web.json_response({"message": "too old"}, status=410),
    ]

    async def fault(request: web.Request) -> web.StreamResponse | None:
        return refusals.pop() if request.query.get("watch") and refusals else None

    api.fault = fault

    async def story(listener: Listener) -> None:
        await listener.until(3)
        put(api, "b")
        await listener.until(4)

    listener = await watching(api, story)
    assert [(event, name) for *_, event, name in listener.told] == [(None, "a")] * 3 + [("ADDED", "b")]


async def test_a_server_that_fails_is_asked_again_from_the_same_version() -> None:
    api = FakeApi()
    put(api, "a")
    failures = 1

    async def fault(request: web.Request) -> web.StreamResponse | None:
        nonlocal failures
        if not request.query.get("watch") or failures == 0:
            return None
        failures -= 1
        put(api, "b")  # meanwhile
        return web.json_response({"message": "overloaded"}, status=503)

    api.fault = fault
    listener = await watching(api, lambda listener: listener.until(2))
    assert [(event, name) for *_, event, name in listener.told] == [(None, "a"), ("ADDED", "b")]
    assert len(lists(api)) == 1


async def test_all_namespaces_have_one_watch() -> None:
    api = FakeApi()
    put(api, "a")
    listener = await watching(api, lambda listener: listener.until(1), namespace=None)
    assert listener.heard == {"/api/v1/pods"}


async def test_a_watch_that_fell_silent_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection stays open and says nothing, as behind some proxies."""
    monkeypatch.setattr(watch, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(watch, "SLACK_SECONDS", 0.2)
    api = FakeApi()
    put(api, "a")
    silenced = False

    async def fault(request: web.Request) -> web.StreamResponse | None:
        nonlocal silenced
        if not request.query.get("watch") or silenced:
            return None
        silenced = True
        response = web.StreamResponse()
        await response.prepare(request)
        put(api, "b")
        await asyncio.Event().wait()
        return response

    api.fault = fault
    listener = await watching(api, lambda listener: listener.until(2))
    assert [(event, name) for *_, event, name in listener.told] == [(None, "a"), ("ADDED", "b")]
    assert len(lists(api)) == 1
