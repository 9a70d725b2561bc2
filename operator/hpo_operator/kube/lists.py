"""Consistent lists of what belongs to a study, made together for all studies of a namespace that wait for one.

A consistent list makes the API server read every object of the namespace from etcd, whatever its selector: one list
for a hundred studies costs it a hundredth of one each. There is one list of a namespace at a time; who comes meanwhile
waits for the next, which begins later and so is no older than the call.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping

from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.kube.client import ApiServer
from hpo_operator.kube.mirror import KINDS, Entry, Kind, Raw, StudyMirror, entry_of
from hpo_operator.manifests.names import STUDY_LABEL

PIECE = 100
"""Objects of one answer, so that reading it does not hold up the event loop: 500 Pods took it 90 ms."""


def folder(kind: Kind, namespace: str | None) -> str:
    """Path of a kind's objects in a namespace, or (None) in all."""
    group = "/api/v1" if kind == "pods" else f"/apis/{GROUP}/{VERSION}"
    return f"{group}/{kind}" if namespace is None else f"{group}/namespaces/{namespace}/{kind}"


async def pieces(server: ApiServer, path: str, query: Mapping[str, str]) -> AsyncIterator[Raw]:
    """A list in pieces, all of one moment, so that only one of them is in memory at a time."""
    token: str | None = ""
    while token is not None:
        more = {"continue": token} if token else {}
        answer = await server.request("GET", path, query={**query, "limit": str(PIECE), **more})
        yield answer
        token = answer["metadata"].get("continue") or None


class StudyLists:
    """All methods raise ClusterError."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._waiting: defaultdict[str, dict[str, StudyMirror]] = defaultdict(dict)
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def fill(self, namespace: str, study: str, mirror: StudyMirror) -> None:
        """List the study's objects into its mirror."""
        waiting = self._waiting[namespace]
        waiting[study] = mirror
        try:
            async with self._one_at_a_time[namespace]:
                if waiting.get(study) is mirror:  # nobody has listed it meanwhile
                    await self._fill(namespace, dict(waiting))
        finally:
            if waiting.get(study) is mirror:
                del waiting[study]

    async def compare(self, namespace: str, mirrors: Mapping[str, StudyMirror]) -> list[str]:
        """List mirrors of studies that may be in use; which of them it told anything new. Doubts stay."""
        async with self._one_at_a_time[namespace]:
            return await self._put(namespace, mirrors)

    async def check(self, namespace: str, kind: Kind, name: str, mirror: StudyMirror) -> None:
        """Read one object whose last write had an outcome that is not known. By a list, which Roles allow already."""
        found: list[Entry] = []
        version = ""
        async for piece in pieces(self._server, folder(kind, namespace), {"fieldSelector": f"metadata.name={name}"}):
            found += [entry_of(kind, raw) for raw in piece["items"]]
            version = piece["metadata"]["resourceVersion"]
        mirror.put_one(kind, name, found, version)

    async def _fill(self, namespace: str, mirrors: Mapping[str, StudyMirror]) -> None:
        await self._put(namespace, mirrors)
        for name, mirror in mirrors.items():
            mirror.end_list()
            if self._waiting[namespace].get(name) is mirror:
                del self._waiting[namespace][name]

    async def _put(self, namespace: str, mirrors: Mapping[str, StudyMirror]) -> list[str]:
        """Which of them it told anything new."""
        for mirror in mirrors.values():
            mirror.begin_list()
        only = next(iter(mirrors)) if len(mirrors) == 1 else None
        news = set()
        for kind in KINDS:
            found: defaultdict[str, list[Entry]] = defaultdict(list)
            version = ""
            async for piece in pieces(self._server, folder(kind, namespace), _selector(kind, only)):
                version = piece["metadata"]["resourceVersion"]
                for raw in piece["items"]:
                    name = _study_of(kind, raw)
                    if name in mirrors:
                        found[name].append(mirrors[name].kept(kind, raw) or entry_of(kind, raw))
            news |= {name for name, mirror in mirrors.items() if mirror.put_list(kind, found[name], version)}
        return sorted(news)


def _selector(kind: Kind, only: str | None) -> Mapping[str, str]:
    if kind == "hpostudies":
        return {"fieldSelector": f"metadata.name={only}"} if only else {}
    return {"labelSelector": f"{STUDY_LABEL}={only}" if only else STUDY_LABEL}


def _study_of(kind: Kind, raw: Raw) -> str:
    metadata: Raw = raw["metadata"]
    name: str = metadata["name"] if kind == "hpostudies" else (metadata.get("labels") or {}).get(STUDY_LABEL, "")
    return name
