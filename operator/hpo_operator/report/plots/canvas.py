"""What all plots share: a figure of a width that is readable on a phone, and axes in the page's colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo_engine.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter
from hpo_operator.report.svg import Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 5.6
"""Inches, 72 units each: at 400 px a font of 11 units is then 10 px high."""


def canvas(palette: Palette, height: float = 3.3, width: float = WIDTH) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(color=palette.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def grid(palette: Palette, rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    """As many panels, which share the vertical axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.7 * columns, 2.5 * rows + 0.3), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).ravel())
    for axes in panels:
        axes.grid(color=palette.grid, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, panels


def is_log(parameter: Parameter) -> bool:
    return isinstance(parameter, FloatParameter | IntParameter) and parameter.log


def is_named(parameter: Parameter) -> bool:
    return isinstance(parameter, CategoricalParameter)


def use_log_scale(axes: Axes) -> None:
    """With plain numbers at its ticks: mathematical markup would not be text in the page."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def shortened(text: str, most: int = 22) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
