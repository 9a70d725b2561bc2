"""The pieces that all views of an analysis are put together from."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from hpo_engine.study import Study


def after(study: Study, resource: int) -> str:
    return f" after {resource} {study.fidelity.resource}" if study.fidelity is not None and resource else ""


def heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def table(*headings: str) -> Table:
    """The first column is text on the left, the others are numbers on the right."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for column, text in enumerate(headings):
        made.add_column(text, justify="right" if column else "left")
    return made


def percent(share: float) -> str:
    """Never 100 % of what is less, nor 0 % of what is more."""
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"
