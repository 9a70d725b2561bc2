"""The cluster that kubectl talks to, in sentences: what it refuses is a sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.mistakes import Mistake, OutOfReachError

if TYPE_CHECKING:
    from hpo_operator.kube.client import ApiServer

Raw = Mapping[str, Any]
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

    async def study(self, name: str) -> Raw:
        """Raises ClusterError, as all that follow: it is not there, or may not be read."""
        found: Raw = await self.server.request("GET", self.studies(name))
        return found

    async def create_study(self, study: Raw) -> None:
        await self.server.request("POST", self.studies(), body=study, query={"fieldManager": FIELD_MANAGER})

    async def apply_study(self, study: Raw, force: bool, dry_run: bool) -> Raw:
        """By server-side apply, ``force``: also where somebody else set a field. Returns what is stored then."""
        from hpo_operator.kube.client import APPLY_PATCH

        query = {"fieldManager": FIELD_MANAGER, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        where = self.studies(study["metadata"]["name"])
        applied: Raw = await self.server.request("PATCH", where, body=study, query=query, content_type=APPLY_PATCH)
        return applied

    async def patch_study(self, name: str, spec: Raw, subresource: str = "") -> None:
        """Sections of the spec, merged."""
        from hpo_operator.kube.client import MERGE_PATCH

        where = self.studies(f"{name}/{subresource}" if subresource else name)
        query = {"fieldManager": FIELD_MANAGER}
        await self.server.request("PATCH", where, body={"spec": spec}, query=query, content_type=MERGE_PATCH)

    async def delete_study(self, study: Raw) -> None:
        """This one, not a later one of its name."""
        name, uid = (study["metadata"][key] for key in ("name", "uid"))
        await self.server.request("DELETE", self.studies(name), body={"preconditions": {"uid": uid}})

    def trials(self, name: str = "") -> str:
        return self._path("hpotrials", name)

    def pods(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods" + (f"/{name}" if name else "")

    async def pod(self, name: str) -> Raw:
        """Raises ClusterError, as all that follow."""
        found: Raw = await self.server.request("GET", self.pods(name))
        return found

    async def create_pod(self, pod: Raw) -> Raw:
        made: Raw = await self.server.request("POST", self.pods(), body=pod, query={"fieldManager": FIELD_MANAGER})
        return made

    async def delete_pod(self, pod: Raw) -> None:
        """This one, not a later one of its name."""
        name, uid = (pod["metadata"][key] for key in ("name", "uid"))
        await self.server.request("DELETE", self.pods(name), body={"preconditions": {"uid": uid}})

    def _path(self, kind: str, name: str) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")


@asynccontextmanager
async def connected(namespace: str, about: str = "", kubeconfig: str | None = None) -> AsyncIterator[Space]:
    """By ``kubeconfig`` (a path), else by kubectl's own; ``namespace`` empty: of its context.

    ``about``: the object, for sentences.

    Raises:
        OutOfReachError: the cluster does not answer now.
        Mistake: there is no such cluster, or it refused a request of the block and the block did not mind.
    """
    # Imported here, since the client takes a quarter of a second, which commands that stay here do not pay.
    from hpo_operator.kube.client import ApiServer, ConfigurationError, context_namespace
    from hpo_operator.kube.errors import ClusterError, TemporaryError

    where = ""
    try:
        space = namespace or context_namespace(kubeconfig)
        where = f"{space}/{about}".rstrip("/") + ": "
        async with await ApiServer.connect(kubeconfig) as server:
            yield Space(server, space)
    except TemporaryError as error:
        raise OutOfReachError(f"{where}{error}") from None
    except (ClusterError, ConfigurationError) as error:
        raise Mistake(f"{where}{error}") from None
