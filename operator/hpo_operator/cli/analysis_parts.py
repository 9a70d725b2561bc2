"""The pieces that all views of an analysis are put together from."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text


def heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def table(*headings: str) -> Table:
    """The first column is text on the left, the others are numbers on the right."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for column, text in enumerate(headings):
        made.add_column(text, justify="right" if column else "left")
    return made
