"""Where the results of the documents' tables go: a page of Markdown, the raw numbers, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pages
from matplotlib.figure import Figure
from pages import table

__all__ = ["RESULTS", "save", "table", "write"]

RESULTS = Path(__file__).resolve().parents[1] / "results" / "documents"


def write(name: str, title: str, parts: Sequence[str], raw: Any) -> None:
    """``name``.md with the command that made it, and ``name``.json."""
    made = pages.command("operator:tests:benchmarks", f"documents.{name}")
    pages.write(RESULTS, name, title, f"`{made}`", parts, raw)


def save(figure: Figure, name: str) -> str:
    """Draw to ``name``.png; the Markdown that shows it."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(RESULTS / f"{name}.png", dpi=120)
    return f"![{name}]({name}.png)"
