"""Where the results of the documents' tables go: a page of Markdown, the raw numbers, and pictures."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

RESULTS = Path(__file__).resolve().parents[1] / "results" / "documents"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """In Markdown; the first column on the left, the others on the right."""
    lines = [" | ".join(headings), " | ".join(["---", *["---:"] * (len(headings) - 1)])]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def write(name: str, title: str, parts: Sequence[str], raw: Any) -> None:
    """``name``.md with the command that made it, and ``name``.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "-m", f"documents.{name}", *sys.argv[1:]])
    text = "\n\n".join([f"# {title}", f"`PYTHONPATH=operator:tests:benchmarks {command}`", *parts]) + "\n"
    (RESULTS / f"{name}.md").write_text(text)
    (RESULTS / f"{name}.json").write_text(json.dumps(raw, indent=1, default=float) + "\n")
    print(text)


def save(figure: Figure, name: str) -> str:
    """Draw to ``name``.png; the Markdown that shows it."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(RESULTS / f"{name}.png", dpi=120)
    return f"![{name}]({name}.png)"
