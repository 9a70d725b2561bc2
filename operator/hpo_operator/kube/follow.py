"""Objects as they are now, for people who look on. Unlike ``mirror`` nothing is decided by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hpo_operator.kube.client import ApiServer
from hpo_operator.kube.errors import ClusterError, TemporaryError
from hpo_operator.kube.watch import Raw, Watch


class Follower(Watch):
    """All objects by name. ``trouble``: why they may be out of date; empty: not.

    ``changed`` is called after each change of either. What the server understood and will not tell, ``run`` raises as
    a ClusterError.
    """

    def __init__(self, server: ApiServer, path: str, query: Mapping[str, str], changed: Callable[[], None]) -> None:
        super().__init__(server, path, query)
        self._changed = changed
        self._coming: dict[str, Raw] = {}
        self.objects: dict[str, Raw] = {}
        self.trouble = ""
        self.listed = False

    def begin_list(self) -> None:
        self._coming = {}

    def take(self, event: str | None, raw: Raw) -> None:
        name = raw["metadata"]["name"]
        if event is None:
            self._coming[name] = raw
            return
        if event == "DELETED":
            self.objects.pop(name, None)
        else:
            self.objects[name] = raw
        self._changed()

    def end_list(self) -> None:
        self.objects, self.listed = self._coming, True
        self._changed()

    def heard(self) -> None:
        if self.trouble:
            self.trouble = ""
            self._changed()

    def lost(self, error: ClusterError) -> None:
        if not isinstance(error, TemporaryError):
            raise error
        self.trouble = error.message
        self._changed()
