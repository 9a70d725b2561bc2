"""Figures of matplotlib as SVG inside a page: responsive, in the page's colours, and with words for screen readers.

Each colour of a figure is a sentinel that no one would choose; it becomes a CSS variable of the page, so that light,
dark and paper differ in the style sheet alone. Text stays text. The same figure with real colours makes a PNG.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import TYPE_CHECKING, Any

from hpo_operator.report.html import Html, element, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150


@dataclass(frozen=True)
class Palette:
    """Colours by what they mean; the fields' names are those of the style sheet's variables."""

    ground: str = "#010101"
    ink: str = "#010102"
    muted: str = "#010103"
    grid: str = "#010104"
    accent: str = "#010105"
    soft: str = "#010106"
    best: str = "#010107"
    bad: str = "#010108"
    band: str = "#010109"
    band2: str = "#01010a"


SENTINELS = Palette()
LIGHT = Palette(
    "#ffffff", "#1c2430", "#5b6675", "#dde2e8", "#2b6cb0", "#a3bfdd", "#c2560c", "#c02c2c", "#d3e1ef", "#f3ddcf"
)


@dataclass(frozen=True)
class Plot:
    """``draw`` makes the figure in a palette; ``description`` says what it shows to who cannot see it.

    ``caption``: what is to be seen. ``rows`` under ``headings``: the numbers behind it.
    """

    title: str
    description: str
    caption: str
    headings: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    draw: Callable[[Palette], Figure]


SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hpo",
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "font.family": "sans-serif",
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 10.0,
    "savefig.facecolor": "none",
}


def figure_of(plot: Plot, identifier: str) -> Html:
    """A ``figure`` with the drawing, its caption, and its numbers in a table that opens."""
    numbers = element(
        "details", element("summary", f"Numbers: {plot.title}"), table(plot.headings, plot.rows, plot.title)
    )
    return element("figure", inline(plot, identifier), element("figcaption", plot.caption), numbers)


def inline(plot: Plot, identifier: str) -> Html:
    """``identifier``: unlike that of any other figure of the page; only letters, digits and dashes."""
    text = _saved(plot, SENTINELS, "svg").decode()
    body = text[text.index("<svg") :]
    view = re.search(r'viewBox="([^"]+)"', body)
    assert view is not None  # matplotlib writes one
    inner = body[body.index(">") + 1 : body.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", inner, flags=re.DOTALL)
    inner = re.sub(r"font:\s*([0-9.]+px)[^;\"]*", r"font-size: \1", inner)
    inner = re.sub(r'(id="|xlink:href="#|url\(#)', rf"\1{identifier}-", inner)
    for field in fields(Palette):
        inner = inner.replace(getattr(SENTINELS, field.name), f"var(--{field.name})")
    words = f"<title>{escape(plot.title)}</title><desc>{escape(plot.description)}</desc>"
    label = escape(f"{plot.title}. {plot.description}")
    return Html(
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view[1]}" role="img" aria-label="{label}">{words}{inner}</svg>'
    )


def png(plot: Plot) -> bytes:
    """The same in light colours."""
    return _saved(plot, LIGHT, "png")


def _saved(plot: Plot, palette: Palette, form: str) -> bytes:
    from matplotlib import rc_context

    colours: dict[Any, Any] = {
        **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), palette.muted),
        **dict.fromkeys(("text.color", "axes.labelcolor"), palette.ink),
        "grid.color": palette.grid,
        "axes.facecolor": "none" if form == "svg" else palette.ground,
    }
    with rc_context({**SETTINGS, **colours}):
        stream = io.BytesIO()
        if form == "svg":
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            plot.draw(palette).savefig(stream, format="svg", metadata=nothing)
        else:
            plot.draw(palette).savefig(stream, format="png", dpi=DPI, facecolor=palette.ground)
    return stream.getvalue()
