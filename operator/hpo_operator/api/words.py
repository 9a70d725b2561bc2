"""Values, names and numbers as they stand in a sentence for the user: exact, on one line, and never longer than that.

What users write may be anything (a list nested ten thousand deep, an integer of a million digits), and a sentence
about it must still be one.
"""

from __future__ import annotations

import difflib
import itertools
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST = 80
_DEEPEST = 4
_MANY_BITS = 256


def show(value: Any) -> str:
    """What stands there, as YAML users know it."""
    if value is None:
        return "nothing"
    return clip(json.dumps(_outline(value, _DEEPEST), default=str, ensure_ascii=False))


def clip(text: str) -> str:
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: LONGEST + 1])
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def number(value: float) -> str:
    """The shortest text that reads back exactly; whole numbers without a point."""
    if math.isfinite(value) and abs(value) < 2**53 + 1 and value == int(value):
        return str(int(value))
    return repr(value)


def listing(names: Iterable[str]) -> str:
    return ", ".join(names)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The closest known name, whatever its case, or None when nothing is close."""
    lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name[:LONGEST].lower(), lower, n=1)
    return lower[close[0]] if close else None


def _outline(value: Any, depth: int) -> Any:
    """So much of ``value`` as may fit on a line."""
    if isinstance(value, str):
        return value[: LONGEST + 1]
    if isinstance(value, int) and value.bit_length() > _MANY_BITS:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (Mapping, list, tuple)) and depth == 0:
        return "..."
    if isinstance(value, Mapping):
        return {clip(str(k)): _outline(v, depth - 1) for k, v in itertools.islice(value.items(), LONGEST)}
    if isinstance(value, (list, tuple)):
        return [_outline(v, depth - 1) for v in value[:LONGEST]]
    return value
