"""Parallel coordinates: each configuration as a line over the axes of its parameters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hpo_engine.parameters import Parameter
from hpo_engine.trial import Trial, Value
from hpo_operator.report.evidence import Evidence
from hpo_operator.report.plots.canvas import canvas, is_named, shortened
from hpo_operator.report.svg import Palette, Plot
from hpo_operator.report.words import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_AXES, TOP = 10, 5
ABSENT = -0.12
"""Where a line passes an axis whose parameter it does not have."""


def parallel(evidence: Evidence) -> Plot | None:
    """None: fewer than two trials can be compared."""
    compared, _ = evidence.ranked
    parameters = _chosen(evidence)
    if len(compared) < 2 or not parameters:
        return None
    others = [trial for trial, _ in evidence.measured if trial not in compared]
    lacking = any(parameter.name not in trial.parameters for trial in (*compared, *others) for parameter in parameters)
    bottom = ABSENT if lacking else 0.0

    def draw(palette: Palette) -> Figure:
        figure, axes = canvas(palette, 3.8)
        axes.grid(visible=False)
        for trial in others:
            axes.plot(_heights(trial, parameters), color=palette.soft, lw=0.6, alpha=0.6)
        for place, trial in reversed(list(enumerate(compared))):
            colour = palette.best if place == 0 else palette.accent if place < TOP else palette.soft
            axes.plot(_heights(trial, parameters), color=colour, lw=2.2 if place == 0 else 1.1, marker="o", ms=2.5)
        for place, parameter in enumerate(parameters):
            axes.vlines(place, 0, 1, color=palette.muted, lw=0.8, zorder=1)
            low, high = _ends(parameter)
            axes.text(place, 1.03, high, ha="center", va="bottom", fontsize=8.5, color=palette.muted)
            axes.text(place, bottom - 0.04, low, ha="center", va="top", fontsize=8.5, color=palette.muted)
        labels = [shortened(parameter.name, 18) for parameter in parameters]
        axes.set_xticks(range(len(parameters)), labels, rotation=35, ha="right", fontsize=10)
        axes.tick_params(axis="x", length=0, pad=4)
        axes.set(ylim=(bottom - 0.12, 1.1), xlim=(-0.4, len(parameters) - 0.6), yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return figure

    names = [parameter.name for parameter in parameters]
    rows = [
        (str(t.index), number(t.latest.value), *(_shown(t.parameters.get(name)) for name in names)) for t in compared
    ]
    return Plot(
        "Parallel coordinates",
        f"{len(compared)} configurations over {len(parameters)} parameters. The best has "
        + ", ".join(f"{name} {_shown(compared[0].parameters.get(name))}" for name in names)
        + ".",
        f"One line for each configuration; the thick one is the best, the next {TOP - 1} are darker than the rest. "
        "Each axis runs from the lowest value to the highest, on a log scale where the search has one. Where dark "
        "lines bundle, the value matters."
        + (" Below an axis pass those without the parameter." if lacking else "")
        + (f" The {MOST_AXES} parameters that matter most." if len(parameters) == MOST_AXES else ""),
        ("trial", evidence.metric, *names),
        rows,
        draw,
    )


def _chosen(evidence: Evidence) -> list[Parameter]:
    """In the order of the space; of many those with the largest total effects."""
    parameters = list(evidence.stored.study.space.parameters)
    if len(parameters) <= MOST_AXES:
        return parameters
    found = evidence.importances
    by_weight = sorted(parameters, key=lambda p: -found.effects[p.name].total) if found else parameters
    kept = by_weight[:MOST_AXES]
    return [parameter for parameter in parameters if parameter in kept]


def _heights(trial: Trial, parameters: list[Parameter]) -> list[float]:
    return [p.encode(trial.parameters[p.name]) if p.name in trial.parameters else ABSENT for p in parameters]


def _ends(parameter: Parameter) -> tuple[str, str]:
    low, high = parameter.decode(0.0), parameter.decode(math.nextafter(1.0, 0.0))
    most = 7 if is_named(parameter) else 12
    return shortened(_shown(low), most), shortened(_shown(high), most)


def _shown(value: Value | None) -> str:
    return "-" if value is None else number(value, 4)
