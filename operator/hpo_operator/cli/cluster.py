"""The cluster that kubectl talks to, for the commands that work on it: what it refuses is a sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.cli.mistakes import Mistake

if TYPE_CHECKING:
    from hpo_operator.kube.client import ApiServer

FIELD_MANAGER = "hpo"
"""Who, in an object's managedFields, wrote what a user wrote with these commands."""


@dataclass(frozen=True)
class Space:
    """A namespace of the cluster, and the way there."""

    server: ApiServer
    namespace: str

    def studies(self, name: str = "") -> str:
        """Path of all studies, or of one; a subresource may follow the name."""
        return self._path("hpostudies", name)

    def trials(self, name: str = "") -> str:
        return self._path("hpotrials", name)

    def pods(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods" + (f"/{name}" if name else "")

    def _path(self, kind: str, name: str) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")


@asynccontextmanager
async def connected(namespace: str, about: str = "", kubeconfig: str | None = None) -> AsyncIterator[Space]:
    """By ``kubeconfig`` (a path), else by kubectl's own; ``namespace`` empty: of its context.

    ``about``: the object, for sentences.

    Raises:
        Mistake: there is no such cluster, or it refused a request of the block and the block did not mind.
    """
    # Imported here, since the client would double the start-up time of every other command.
    from hpo_operator.kube.client import ApiServer, ConfigurationError, context_namespace
    from hpo_operator.kube.errors import ClusterError

    where = ""
    try:
        space = namespace or context_namespace(kubeconfig)
        where = f"{space}/{about}".rstrip("/") + ": "
        async with await ApiServer.connect(kubeconfig) as server:
            yield Space(server, space)
    except (ClusterError, ConfigurationError) as error:
        raise Mistake(f"{where}{error}") from None
