"""Where the objects of a study are: kept in memory, in a folder of ``hpo run``, or in a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from hpo_operator.studies.cluster import Space, connected
from hpo_operator.studies.stored_objects import RawObjects, Source, of_cluster

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
        return self._asked(lambda space: space.study(self.name))

    def create(self, study: Raw) -> None:
        """Raises Mistake: it is there already, or is refused."""
        self._asked(lambda space: space.create_study(study))

    def patch(self, spec: Raw) -> None:
        """Sections of the spec, merged. Raises Mistake."""
        self._asked(lambda space: space.patch_study(self.name, spec))

    def delete(self, study: Raw) -> None:
        """This one, not a later one of its name. Raises Mistake."""
        self._asked(lambda space: space.delete_study(study))

    def _asked(self, ask: Callable[[Space], Coroutine[Any, Any, T]]) -> T:
        async def asked() -> T:
            answers: list[T] = []  # as far as mypy sees, the context manager may swallow exceptions
            async with connected(self.namespace, self.name, self.kubeconfig) as space:
                answers.append(await ask(space))
            return answers[0]

        return apart(lambda: asyncio.run(asked()))


def apart(call: Callable[[], T]) -> T:
    """``call()`` in a thread of its own: a notebook's thread has an event loop already, and there may be but one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()
