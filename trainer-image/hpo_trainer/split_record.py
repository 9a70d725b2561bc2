"""``split.json`` beside a trial's checkpoint: which images trained and which validated, by name.

The checkpoint's fingerprint tells that a data set has changed; this file tells how, and that no image which is judged
in the end was seen before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hpo_trainer.checkpoint import flush_folder, write_durably

FILE = "split.json"
SHOWN = 3
Sides = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class SplitRecord:
    """``data``: the fingerprint of the data set as it was read. ``sides``: names on ``train`` and ``validation``."""

    data: str
    sides: Sides


def write(folder: Path, data: str, sides: Sides) -> None:
    """By rename, so that a kill leaves the old or the new file; nothing is written where it says so already."""
    content = json.dumps({"data": data, **sides}, indent=1).encode() + b"\n"
    path = folder / FILE
    if path.exists() and path.read_bytes() == content:
        return
    new = path.with_suffix(".new")
    write_durably(new, content)
    new.replace(path)
    flush_folder(folder)


def read(folder: Path) -> SplitRecord | None:
    """None where there is none: the trial was trained before such files were written."""
    path = folder / FILE
    if not path.exists():
        return None
    document = json.loads(path.read_text())
    data = document.pop("data")
    return SplitRecord(data, {side: tuple(names) for side, names in document.items()})


def difference(before: Sides, now: Sides) -> str:
    """How the sides differ, as the end of a sentence; the pixels or the order, if the names do not."""
    parts = []
    for side in before:
        gone, new = (sorted(set(a) - set(b)) for a, b in ((before[side], now[side]), (now[side], before[side])))
        parts += [f"{side} lacks {_some(gone)}"] * bool(gone) + [f"{side} has gained {_some(new)}"] * bool(new)
    return "; ".join(parts) or "its images have the same names as before, and other contents"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
