"""Objects of which most is read once, if at all: kept as JSON text, a third of what dicts take.

And text is one thing where dicts are a dozen: Python's collector of cyclic garbage need not walk through them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WORD = 40
"""Characters of what may well stand in other objects, too: names, uids, times, reasons."""


class Packed(Mapping[str, Any]):
    """``raw``, with the values of ``packed`` made anew from text each time that they are asked for."""

    __slots__ = ("_plain", "_texts")

    def __init__(self, raw: Mapping[str, Any], packed: Sequence[str]) -> None:
        self._plain = {key: value for key, value in raw.items() if key not in packed}
        self._texts = {key: json.dumps(raw[key], separators=(",", ":")).encode() for key in packed if key in raw}

    def __getitem__(self, key: str) -> Any:
        if key in self._plain:
            return self._plain[key]
        return interned(json.loads(self._texts[key]))

    def __contains__(self, key: object) -> bool:
        return key in self._plain or key in self._texts

    def __iter__(self) -> Iterator[str]:
        yield from self._plain
        yield from self._texts

    def __len__(self) -> int:
        return len(self._plain) + len(self._texts)

    def __repr__(self) -> str:
        return repr(dict(self))


def interned(value: Any) -> Any:
    """The same, with one copy of each key and word: JSON comes with its own for each of thousands of objects."""
    if isinstance(value, dict):
        return {sys.intern(key): interned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [interned(inner) for inner in value]
    return sys.intern(value) if isinstance(value, str) and len(value) <= WORD else value
