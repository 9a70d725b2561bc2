"""The objects of one local study: in memory, and written through to a folder, so that a later run goes on from them."""

from __future__ import annotations

import fcntl
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hpo_operator.mistakes import Mistake
from hpo_operator.reconcile.clock import to_text

Object = dict[str, Any]


class InUseError(Mistake):
    """Another process works on this folder."""


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the study in ``folder`` alone; the lock ends with the process, however that ends.

    Raises:
        InUseError: another process holds it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(
                f"{folder}: another hpo run works on this study; stop it, or choose another --state"
            ) from None
        yield


class ObjectStore:
    """``kind`` (study, trials, pods, events) and name -> object. Every change is on disk when the call returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._objects: dict[tuple[str, str], Object] = {}
        for path in sorted(folder.glob("*/*.json")):
            with suppress(FileNotFoundError):  # another process, that runs the study, removed it since
                self._objects[path.parent.name, path.stem] = json.loads(path.read_text())

    def get(self, kind: str, name: str) -> Object | None:
        return self._objects.get((kind, name))

    def all(self, kind: str) -> list[Object]:
        """In the order of their creation."""
        found = [value for (k, _), value in self._objects.items() if k == kind]
        return sorted(
            found, key=lambda o: (o["metadata"]["creationTimestamp"], len(o["metadata"]["name"]), o["metadata"]["name"])
        )

    def create(self, kind: str, manifest: Object) -> bool:
        """Store a new object with what an API server adds to it; False if the name is taken.

        A Pod's uid names the folder of its process, so that here it is the Pod's name: people look for its log there.
        """
        name = manifest["metadata"]["name"]
        if (kind, name) in self._objects:
            return False
        added = {
            "uid": name if kind == "pods" else str(uuid.uuid4()),
            "generation": 1,
            "creationTimestamp": to_text(datetime.now(UTC)),
        }
        self.put(kind, manifest | {"metadata": manifest["metadata"] | added})
        return True

    def put(self, kind: str, value: Object) -> None:
        """Replace an object; by rename, so that a crash leaves the old or the new one."""
        name = value["metadata"]["name"]
        self._objects[kind, name] = value
        path = self.folder / kind / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(value, indent=1))
        draft.replace(path)

    def remove(self, kind: str, name: str) -> None:
        self._objects.pop((kind, name), None)
        (self.folder / kind / f"{name}.json").unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget the study and all its files."""
        self._objects.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
