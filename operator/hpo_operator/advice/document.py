"""YAML with comments: a study file is read by people first."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
"""Texts that need no quotes, unless YAML takes them for something else, as it does with true or 7."""


@dataclass(frozen=True)
class Entry:
    """``key: value``. A tuple of entries is a mapping of its own lines, a list of such tuples a sequence of them;

    any other value stands on the line of its key. ``comment``: above the entry, a line for each of its lines.
    """

    key: str
    value: Any
    comment: str = ""


Block = tuple[Entry, ...]


def render(block: Block, indent: str = "") -> list[str]:
    """The lines of ``block``."""
    lines: list[str] = []
    for entry in block:
        lines += [f"{indent}# {line}" for line in entry.comment.splitlines()]
        match entry.value:
            case tuple() as inner:
                lines += [f"{indent}{entry.key}:", *render(inner, indent + "  ")]
            case [tuple(), *_] as items:
                lines.append(f"{indent}{entry.key}:")
                for item in items:
                    lines += _item(item, indent + "  ")
            case plain:
                lines.append(f"{indent}{entry.key}: {flow(plain)}")
    return lines


def _item(block: Block, indent: str) -> list[str]:
    """One item of a sequence: its first key beside the dash, its comment above it."""
    comments = [f"{indent}# {line}" for line in block[0].comment.splitlines()]
    lines = render((Entry(block[0].key, block[0].value), *block[1:]), indent + "  ")
    return [*comments, f"{indent}- {lines[0].lstrip()}", *lines[1:]]


def flow(value: Any) -> str:
    """On one line; numbers as people write them, 1e-4 and not 0.0001."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return value if yaml.safe_load(value) == value and PLAIN.fullmatch(value) else json.dumps(value)
        case float():
            return f"{value:g}".replace("e-0", "e-").replace("e+0", "e+")
        case dict():
            return "{" + ", ".join(f"{key}: {flow(of)}" for key, of in value.items()) + "}"
        case Sequence():
            return "[" + ", ".join(map(flow, value)) + "]"
        case _:
            return str(value)
