"""Pages of results: Markdown with the command that made it, and the raw numbers beside it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """In Markdown; the first column on the left, the others on the right."""
    lines = [" | ".join(headings), " | ".join(["---", *["---:"] * (len(headings) - 1)])]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def command(path: str, module: str) -> str:
    """How this program was called; ``path``: its PYTHONPATH."""
    return f"PYTHONPATH={path} {shlex.join(['python', '-m', module, *sys.argv[1:]])}"


def write(folder: Path, name: str, title: str, made: str, parts: Sequence[str], raw: Any) -> None:
    """``name``.md, which is also printed, and ``name``.json. ``made``: the line that tells how."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join([f"# {title}", made, *parts]) + "\n"
    (folder / f"{name}.md").write_text(text)
    (folder / f"{name}.json").write_text(json.dumps(raw, indent=1, default=float) + "\n")
    print(text)
