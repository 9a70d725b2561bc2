"""An API server of one namespace over real HTTP, which can be told to fail. Kubernetes' own is in tests/cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from kubernetes.aio import client

Raw = dict[str, Any]
Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


async def no_fault(_: web.Request) -> web.StreamResponse | None:
    return None


class FakeApi:
    """Objects by kind and name. ``fault`` may answer first; ``asked``: method, kind and query of each request."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Raw]] = {"hpostudies": {}, "hpotrials": {}, "pods": {}, "events": {}}
        self.fault: Fault = no_fault
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.version = 0
        self.url = ""
        self._watchers: list[tuple[str, asyncio.Queue[Raw]]] = []

    def put(self, kind: str, raw: Raw) -> Raw:
        """Store, under a new version, and tell the watches."""
        self.version += 1
        meta = {
            "uid": f"uid-{self.version}",
            "namespace": "lab",
            **raw["metadata"],
            "resourceVersion": str(self.version),
        }
        event = "MODIFIED" if meta["name"] in self.objects[kind] else "ADDED"
        stored = self.objects[kind][meta["name"]] = {"kind": kind, **raw, "metadata": meta}
        for watched, queue in self._watchers:
            if watched == kind:
                queue.put_nowait({"type": event, "object": stored})
        return stored

    async def answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.split("/")
        kind = parts[parts.index("namespaces") + 2] if "namespaces" in parts else parts[-1]
        name = parts[parts.index("namespaces") + 3] if parts[-1] != kind else None
        self.asked.append((request.method, kind, dict(request.query)))
        early = await self.fault(request)
        if early is not None:
            return early
        match request.method:
            case "GET" if request.query.get("watch"):
                return await self._watch(request, kind)
            case "GET" if name in self.objects.get(kind, {}):
                return web.json_response(self.objects[kind][str(name)])
            case "GET":
                return self._list(kind, request.query.get("fieldSelector"), int(request.query.get("continue", 0)))
            case "POST":
                return self._create(kind, await request.json())
        return web.json_response({"message": f"{name}: not served here"}, status=405)

    def _list(self, kind: str, field: str | None, start: int) -> web.Response:
        """In pieces of two."""
        found = [
            raw for raw in self.objects[kind].values() if field in (None, f"metadata.name={raw['metadata']['name']}")
        ]
        meta = {"resourceVersion": str(self.version)} | ({"continue": str(start + 2)} if len(found) > start + 2 else {})
        return web.json_response({"items": found[start : start + 2], "metadata": meta})

    def _create(self, kind: str, raw: Raw) -> web.Response:
        if raw["metadata"]["name"] in self.objects[kind]:
            return web.json_response({"message": "already exists"}, status=409)
        return web.json_response(self.put(kind, raw), status=201)

    async def _watch(self, request: web.Request, kind: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[Raw] = asyncio.Queue()
        for raw in self.objects[kind].values():
            if int(raw["metadata"]["resourceVersion"]) > int(request.query["resourceVersion"]):
                queue.put_nowait({"type": "ADDED", "object": raw})
        self._watchers.append((kind, queue))
        while True:
            await response.write(json.dumps(await queue.get()).encode() + b"\n")

    @asynccontextmanager
    async def served(self) -> AsyncIterator[client.Configuration]:
        """A client's configuration for it."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        (address,) = runner.addresses
        configuration = client.Configuration()
        configuration.host = self.url = f"http://127.0.0.1:{address[1]}"
        try:
            yield configuration
        finally:
            await runner.cleanup()
