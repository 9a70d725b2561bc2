"""The part of a kubelet's API by which the API server reads logs, so that ``kubectl logs`` works on the stand.

https://github.com/kubernetes/kubernetes/blob/v1.20.2/pkg/kubelet/server/server.go (containerLogs)
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from aiohttp import web

LOOK_SECONDS = 0.1


class PodLog(Protocol):
    """``path`` of the file, and whether its Pod may still write to it."""

    @property
    def path(self) -> Path: ...

    def is_open(self) -> bool: ...


Find = Callable[[str, str], PodLog | None]
"""By namespace and name of a Pod; None: it has not run here."""


@asynccontextmanager
async def serving_logs(find: Find, certificate: Path, key: Path) -> AsyncIterator[int]:
    """The port, of 127.0.0.1. API servers do not verify a node's certificate unless told to."""

    async def answer(request: web.Request) -> web.StreamResponse:
        log = find(request.match_info["namespace"], request.match_info["pod"])
        if log is None:
            return web.Response(status=404, text=f"the Pod {request.match_info['pod']} has not run here\n")
        response = web.StreamResponse()
        await response.prepare(request)
        follow = request.query.get("follow") == "true"
        with log.path.open("rb") as file:
            while True:
                last = not follow or not log.is_open()
                await response.write(file.read())
                if last:
                    return response
                await asyncio.sleep(LOOK_SECONDS)

    application = web.Application()
    application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", answer)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
