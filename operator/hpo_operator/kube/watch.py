"""Objects as the API server tells of them: a list, then one watch after the other from where the last one ended.

A watch is asked for a minute, so that a connection that died unseen is missed soon. Only when the server has forgotten
what came after (410) is there a new list. https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from hpo_operator.kube.client import ApiServer
from hpo_operator.kube.cluster import StudyKey
from hpo_operator.kube.errors import ClusterError, TemporaryError, from_status
from hpo_operator.kube.lists import folder, pieces
from hpo_operator.kube.mirror import Kind
from hpo_operator.manifests.names import STUDY_LABEL

log = logging.getLogger(__name__)

Raw = Mapping[str, Any]
WATCH_SECONDS, SLACK_SECONDS = 60.0, 15.0
"""How long a watch is asked for, and after how much more the connection is given up."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
"""Seconds before the next try when the server does not answer; doubled each time."""


class Watch(ABC):
    """All objects at ``path`` that ``query`` selects. Subclasses say what becomes of them."""

    def __init__(self, server: ApiServer, path: str, query: Mapping[str, str]) -> None:
        self._server, self._path, self._query = server, path, query
        self._version: str | None = None  # up to which everything was told; None: nothing, or nobody knows any more
        self._pause = FIRST_PAUSE

    @abstractmethod
    def begin_list(self) -> None:
        """What follows, up to ``end_list``, are all objects."""

    @abstractmethod
    def take(self, event: str | None, raw: Raw) -> None:
        """ADDED, MODIFIED or DELETED; None: it is in a list."""

    @abstractmethod
    def end_list(self) -> None:
        """All objects of the list were taken."""

    @abstractmethod
    def heard(self) -> None:
        """The server has said something."""

    @abstractmethod
    def lost(self, error: ClusterError) -> None:
        """Nothing is told until it is tried again, soon. May raise the error, to try no more."""

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if self._version is None:
                    await self._list()
                began = loop.time()
                await self._watch()
                await asyncio.sleep(max(0.0, began + FIRST_PAUSE - loop.time()))  # some servers end it at once
            except ClusterError as error:
                if error.status == 410:
                    self._version = None
                self.lost(error)
                await asyncio.sleep(max(self._pause, error.retry_after))
                self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def _list(self) -> None:
        self.begin_list()
        version = None
        async for piece in pieces(self._server, self._path, self._query):
            self._note_life()
            for raw in piece["items"]:
                self.take(None, raw)
            version = str(piece["metadata"]["resourceVersion"])
        self._version = version
        self.end_list()

    async def _watch(self) -> None:
        """Until the server ends it."""
        asked = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(round(WATCH_SECONDS))}
        async for event in self._events({**self._query, **asked, "resourceVersion": str(self._version)}):
            raw = event["object"]
            if event["type"] == "ERROR":  # as a rule 410
                raise from_status(int(raw.get("code") or 500), str(raw.get("message") or "the watch failed"))
            if event["type"] != "BOOKMARK":
                self.take(event["type"], raw)
            self._version = raw["metadata"]["resourceVersion"]

    async def _events(self, query: Mapping[str, str]) -> AsyncIterator[Raw]:
        """One a line; a line may be longer than any buffer."""
        rest = b""
        async for piece in self._server.stream(self._path, query, WATCH_SECONDS + SLACK_SECONDS):
            self._note_life()
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line:
                    yield _event(line)

    def _note_life(self) -> None:
        self._pause = FIRST_PAUSE
        self.heard()


class ChildWatch(Watch):
    """Trials or Pods with a study's label, of one namespace or (None) of all.

    ``tell``: the study of each, the event and the object. ``hear``: the path, whenever the server speaks.
    """

    def __init__(
        self,
        server: ApiServer,
        kind: Kind,
        namespace: str | None,
        tell: Callable[[StudyKey, str | None, Raw], None],
        hear: Callable[[str], None],
    ) -> None:
        super().__init__(server, folder(kind, namespace), {"labelSelector": STUDY_LABEL})
        self._tell, self._hear = tell, hear

    def begin_list(self) -> None:
        """Nothing: what is missing in the list, the next comparison of a mirror tells."""

    def end_list(self) -> None:
        """As ``begin_list``."""

    def take(self, event: str | None, raw: Raw) -> None:
        metadata: Raw = raw["metadata"]
        self._tell(StudyKey(metadata["namespace"], metadata["labels"][STUDY_LABEL]), event, raw)

    def heard(self) -> None:
        self._hear(self._path)

    def lost(self, error: ClusterError) -> None:
        log.warning("the watch of %s goes on soon: %s", self._path, error.message)


def _event(line: bytes) -> Raw:
    try:
        event: Raw = json.loads(line)
    except ValueError as error:
        raise TemporaryError(f"a watch told what is no JSON: {error}") from None
    return event
