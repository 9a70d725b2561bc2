"""Where the objects of a study are: kept in memory, in a folder of ``hpo run``, or in a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from hpo_operator.cli.cluster import FIELD_MANAGER, Space, connected
from hpo_operator.cli.stored_objects import RawObjects, Source, of_cluster

Raw = Mapping[str, Any]
T = TypeVar("T")


class Place(Protocol):
    """Where a study is."""

    def read(self) -> RawObjects:
        """Raises Mistake."""
        ...


@dataclass(frozen=True)
class Kept:
    """Objects of a study that has ended in this process."""

    objects: RawObjects

    def read(self) -> RawObjects:
        return self.objects


@dataclass(frozen=True)
class Folder:
    """The state of a study that ran on this machine."""

    path: Path

    def read(self) -> RawObjects:
        return Source(self.path.parent).read(str(self.path))


@dataclass(frozen=True)
class InCluster:
    """A study of the cluster that ``kubeconfig`` leads to, None: kubectl's; ``namespace`` empty: of its context."""

    name: str
    namespace: str = ""
    kubeconfig: str | None = None

    def read(self) -> RawObjects:
        return apart(lambda: asyncio.run(of_cluster(self.namespace, self.name, self.kubeconfig)))

    def study(self) -> Raw:
        """The study alone. Raises Mistake."""
        return self._asked(lambda space: space.server.request("GET", space.studies(self.name)))

    def create(self, study: Raw) -> None:
        """Raises Mistake: it is there already, or is refused."""
        query = {"fieldManager": FIELD_MANAGER}
        self._asked(lambda space: space.server.request("POST", space.studies(), body=study, query=query))

    def patch(self, spec: Raw) -> None:
        """Sections of the spec, merged. Raises Mistake."""
        from hpo_operator.kube.client import MERGE_PATCH

        self._asked(
            lambda space: space.server.request(
                "PATCH",
                space.studies(self.name),
                body={"spec": spec},
                query={"fieldManager": FIELD_MANAGER},
                content_type=MERGE_PATCH,
            )
        )

    def delete(self, uid: str) -> None:
        """The study of this uid, not a later one of its name. Raises Mistake."""
        body = {"preconditions": {"uid": uid}}
        self._asked(lambda space: space.server.request("DELETE", space.studies(self.name), body=body))

    def _asked(self, ask: Callable[[Space], Coroutine[Any, Any, Any]]) -> Raw:
        async def asked() -> Raw:
            answers: list[Raw] = []  # as far as mypy sees, the context manager may swallow exceptions
            async with connected(self.namespace, self.name, self.kubeconfig) as space:
                answers.append(await ask(space))
            return answers[0]

        return apart(lambda: asyncio.run(asked()))


def apart(call: Callable[[], T]) -> T:
    """``call()`` in a thread of its own: a notebook's thread has an event loop already, and there may be but one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()
