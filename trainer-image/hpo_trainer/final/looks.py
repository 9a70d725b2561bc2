"""How often the test images were looked at. The first look is honest; whoever chooses after it, chooses with its help.

``test-looks.json`` lies beside the studies' folders, since images do not become new with another study. A look is
written down before its figures are: a run that is killed on the way has still had it.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_trainer.checkpoint import write_durably
from hpo_trainer.failures import BadData

FILE = "test-looks.json"


@dataclass(frozen=True)
class Looks:
    """The record in the file ``path``; a list of objects with ``digest`` (of the test images) and ``study``.

    Studies that share it may look at the same time: it is locked while it is changed.
    """

    path: Path

    def begin(self, look: Mapping[str, Any]) -> int:
        """Write a look down; the number of looks at these images, this one included. Raises BadData."""
        with self._locked():
            looks = [*self._read(), dict(look)]
            self._write(looks)
        return sum(entry["digest"] == look["digest"] for entry in looks)

    def complete(self, look: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
        """Add what ``look``, which was begun, has shown."""
        with self._locked():
            looks = self._read()
            latest = max(i for i, entry in enumerate(looks) if entry == look)
            looks[latest] = looks[latest] | {"figures": dict(figures)}
            self._write(looks)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.path.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        try:
            looks = json.loads(self.path.read_text())
            if all(isinstance(look["digest"], str) for look in looks):
                return list(looks)
        except (ValueError, TypeError, KeyError):
            pass
        raise BadData(self.path, "expected a list of looks at test images, found something else; restore the file")

    def _write(self, looks: list[dict[str, Any]]) -> None:
        new = self.path.with_suffix(".new")
        write_durably(new, json.dumps(looks, indent=1).encode() + b"\n")
        new.replace(self.path)
