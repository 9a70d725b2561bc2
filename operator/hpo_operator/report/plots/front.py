"""Pareto front: what is not beaten in both of two goals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo_operator.report.evidence import Evidence
from hpo_operator.report.plots.canvas import canvas
from hpo_operator.report.svg import Palette, Plot
from hpo_operator.report.trade_off import SECONDS
from hpo_operator.report.words import after, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def front(evidence: Evidence) -> Plot | None:
    """None: fewer than two trials have both values."""
    found = evidence.trade_off
    if found is None:
        return None
    other = "seconds of training" if found.other.metric == SECONDS else found.other.metric
    on_front = sorted((found.points[index][1], found.points[index][0]) for index in found.front)

    def draw(palette: Palette) -> Figure:
        figure, axes = canvas(palette)
        rest = [pair for index, pair in found.points.items() if index not in found.front]
        axes.scatter([y for _, y in rest], [x for x, _ in rest], s=22, color=palette.soft, label="beaten in both")
        axes.plot(*zip(*on_front, strict=True), "o-", color=palette.best, ms=5, lw=1.2, label="front")
        axes.set(xlabel=other, ylabel=evidence.metric)
        axes.legend(loc="best")
        return figure

    rows = [
        (str(index), number(value), number(second), "yes" if index in found.front else "")
        for index, (value, second) in sorted(found.points.items(), key=lambda item: item[1][1])
    ]
    return Plot(
        f"{evidence.metric} beside {other}",
        f"{len(found.points)} trials{after(evidence.stored.study, found.resource)}, {len(found.front)} on the front.",
        "No trial beats one on the front in both; between them is a choice, not a mistake.",
        ("trial", evidence.metric, other, "on the front"),
        rows,
        draw,
    )
