"""Objects as they are now, for people who look on: one list, then a watch, and a new list whenever the watch is lost.

Unlike ``mirror`` nothing is decided by it. https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from hpo_operator.kube.client import ApiServer
from hpo_operator.kube.errors import TemporaryError, from_status

Raw = Mapping[str, Any]
WATCH_SECONDS, SLACK_SECONDS = 60, 15.0
"""A watch is asked for this long; one that is silent for longer is a connection that died unseen."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
"""Seconds before the next try when the server does not answer; doubled each time."""


class Follower:
    """All objects at ``path`` that ``query`` selects, by name. ``trouble``: why they may be out of date; empty: not.

    ``changed`` is called after each change of either.
    """

    def __init__(self, server: ApiServer, path: str, query: Mapping[str, str], changed: Callable[[], None]) -> None:
        self._server, self._path, self._query, self._changed = server, path, query, changed
        self.objects: dict[str, Raw] = {}
        self.trouble = ""
        self.listed = False

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            ClusterError: the server understood, and will not tell.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                version = await self._list()
                pause = FIRST_PAUSE
                while True:
                    version = await self._watch(version)
            except TemporaryError as error:
                self.trouble = error.message
                self._changed()
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _list(self) -> str:
        """Put all objects; their version."""
        found = await self._server.request("GET", self._path, query=self._query)
        self.objects = {item["metadata"]["name"]: item for item in found["items"]}
        self.trouble = ""
        self.listed = True
        self._changed()
        return str(found["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> str:
        """Put what changes after ``version``, until the server ends the watch; the version that was reached."""
        query = {**self._query, "watch": "true", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        async for event in self._events(query):
            raw = event["object"]
            if event["type"] == "ERROR":  # as a rule 410: too old a version
                raise from_status(int(raw.get("code") or 500), str(raw.get("message") or "the watch failed"))
            version = raw["metadata"]["resourceVersion"]
            if event["type"] == "DELETED":
                self.objects.pop(raw["metadata"]["name"], None)
            elif event["type"] != "BOOKMARK":
                self.objects[raw["metadata"]["name"]] = raw
            self._changed()
        return version

    async def _events(self, query: Mapping[str, str]) -> AsyncIterator[Raw]:
        """One a line; a line may be longer than any buffer."""
        rest = b""
        async for piece in self._server.stream(self._path, query, WATCH_SECONDS + SLACK_SECONDS):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line:
                    yield _event(line)


def _event(line: bytes) -> Raw:
    try:
        event: Raw = json.loads(line)
    except ValueError as error:
        raise TemporaryError(f"a watch told what is no JSON: {error}") from None
    return event
