"""kopf's watches with the operator's settings: what they tell, and that one that fell silent is begun anew."""

from __future__ import annotations

import asyncio
from typing import Any

import kopf
from aiohttp import web

from hpo_operator.handlers import triggers
from hpo_operator.kube.cluster import StudyKey
from kube.fake_api import FakeApi

RESOURCES = {
    "/api/v1": [("pods", "Pod"), ("namespaces", "Namespace"), ("events", "Event")],
    "/apis/hpo.study/v1alpha1": [("hpostudies", "HPOStudy"), ("hpotrials", "HPOTrial")],
}


def discovery(request: web.Request) -> web.Response | None:
    """What the server says about its kinds; None: something else was asked for."""
    if request.path in RESOURCES:
        found = [
            {"name": plural, "kind": kind, "namespaced": True, "verbs": ["list", "watch", "patch"], "singularName": ""}
            for plural, kind in RESOURCES[request.path]
        ]
        return web.json_response({"resources": found})
    if request.path == "/api":
        return web.json_response({"versions": ["v1"]})
    if request.path == "/apis":
        version = {"version": "v1alpha1", "groupVersion": "hpo.study/v1alpha1"}
        group = {"name": "hpo.study", "versions": [version], "preferredVersion": version}
        return web.json_response({"groups": [group]})
    return None


async def test_a_watch_that_fell_silent_is_begun_anew() -> None:
    """Its connection stays open and says nothing, as behind some proxies; the event is told by the next watch."""
    api = FakeApi()
    silenced = asyncio.Event()

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if (found := discovery(request)) is not None:
            return found
        if request.query.get("watch") and request.path.endswith("/hpostudies") and not silenced.is_set():
            silenced.set()
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.Event().wait()
        return None

    api.fault = fault
    told: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
    heard: list[str] = []
    stop, ready = asyncio.Event(), asyncio.Event()
    chosen = triggers.settings()
    chosen.watching.inactivity_timeout = 0.5
    async with api.served() as configuration:

        async def configure() -> Any:
            return configuration

        running = asyncio.create_task(
            kopf.operator(
                registry=triggers.registry(lambda *event: told.put_nowait(event), configure, heard.append),
                settings=chosen,
                clusterwide=True,
                ready_flag=ready,
                stop_flag=stop,
                identity="test",  # type: ignore[arg-type]
            )
        )
        async with asyncio.timeout(60):
            await silenced.wait()
            study = api.put("hpostudies", {"metadata": {"name": "demo"}})
            key, event, raw = await told.get()
        stop.set()
        await running
    assert (key, event, raw) == (StudyKey("lab", "demo"), "ADDED", study)
    watches = [query for _, kind, query in api.asked if kind == "hpostudies" and "watch" in query]
    assert len(watches) > 1
    assert {query["resourceVersion"] for query in watches[:2]} == {"0"}  # from where it was, without a list
    assert "/apis/hpo.study/v1alpha1/hpostudies" in heard
