"""Whether the operator sees and acts: its event loop, and its watches, which can die in silence.

A watch says something about once a minute, a bookmark if nothing else. One that is silent for longer is begun anew, by
kopf and by ``kube.watch``; should that fail, the operator believes that nothing happens any more, and only a restart
helps. While the API server does not answer at all, no restart does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import aiohttp
from aiohttp.connector import Connection

UNHEALTHY_LAG_SECONDS = 30.0
UNHEALTHY_WATCH_SECONDS = 180.0
"""Three bookmarks."""
ANSWERING_SECONDS = 30.0
"""The API server counts as answering for so long after an answer."""


class Health:
    """What was last heard, on ``clock``, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._answered = clock()
        self.lag = 0.0

    def hear(self, path: str) -> None:
        """The watch of this path has said something."""
        self._heard[path] = self._clock()

    def answer(self, code: str) -> None:
        """A request has ended with this HTTP status, or ``none``."""
        if code != "none" and not code.startswith("5"):
            self._answered = self._clock()

    def watch_age(self, resource: str) -> float:
        """Seconds since the most silent watch of a resource, such as ``pods``, last spoke; 0 before it began."""
        return max(
            (self._clock() - at for path, at in self._heard.items() if path.endswith(f"/{resource}")), default=0.0
        )

    def trouble(self) -> str:
        """What only a restart mends, in a sentence; empty: nothing."""
        if self.lag >= UNHEALTHY_LAG_SECONDS:
            return f"the event loop is {self.lag:.0f} s late"
        now = self._clock()
        if now - self._answered > ANSWERING_SECONDS:
            return ""
        for path, at in sorted(self._heard.items()):
            if now - at > UNHEALTHY_WATCH_SECONDS:
                return f"the watch of {path} has been silent for {now - at:.0f} s, while the API server answers"
        return ""


def listening(hear: Callable[[str], None]) -> type[aiohttp.ClientResponse]:
    """A class of responses that tell ``hear`` the path of a watch whenever it says something."""

    class Response(aiohttp.ClientResponse):
        async def start(self, connection: Connection) -> Self:
            await super().start(connection)
            if self.url.query.get("watch") == "true":
                path = self.url.path
                hear(path)
                self.content = _Heard(self.content, lambda: hear(path))  # type: ignore[assignment]
            return self

    return Response


class _Heard:
    """A stream that tells of each of its chunks."""

    def __init__(self, stream: aiohttp.StreamReader, hear: Callable[[], None]) -> None:
        self._stream, self._hear = stream, hear

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self._stream.iter_chunked(size):
            self._hear()
            yield chunk
