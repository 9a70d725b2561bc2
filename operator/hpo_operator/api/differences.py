"""In what two objects differ, by the path of each difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpo_operator.api.words import show

ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """``old`` or ``new`` is ABSENT where there is nothing."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.old)} -> {_shown(self.new)}"


def differences(old: Any, new: Any, path: str) -> Iterator[Difference]:
    """The deepest ones, in the order of their names; lists of different lengths differ as a whole."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{path}[{i}]")
    elif old != new:
        yield Difference(path, old, new)


def _shown(value: Any) -> str:
    return "nothing" if value is ABSENT else show(value)
