"""Learning curves of all trials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hpo_operator.api.trial import HpoTrial
from hpo_operator.report.evidence import Evidence
from hpo_operator.report.plots.canvas import canvas
from hpo_operator.report.svg import Palette, Plot
from hpo_operator.report.words import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(evidence: Evidence) -> Plot | None:
    """None: no trial has two points."""
    found = {trial.spec.index: _points(trial) for trial in evidence.stored.objects}
    lines = {index: points for index, points in found.items() if points}
    if not evidence.unit or all(len(points) == 1 for points in lines.values()):
        return None
    best = evidence.best.index if evidence.best is not None else None

    def draw(palette: Palette) -> Figure:
        figure, axes = canvas(palette)
        for index, points in lines.items():
            chosen = index == best
            colour, width = (palette.best, 2.2) if chosen else (palette.accent, 0.8)
            label = f"best: trial {index}" if chosen else "_other"
            x, y = zip(*points, strict=True)
            axes.plot(x, y, color=colour, lw=width, label=label, zorder=3 if chosen else 2)
            axes.plot(x[-1:], y[-1:], "o", color=colour, ms=3, zorder=3)
        axes.set(xlabel=evidence.unit, ylabel=evidence.metric)
        if best in lines:
            axes.legend(loc="best")
        return figure

    ends = {index: points[-1] for index, points in lines.items()}
    return Plot(
        "Learning curves",
        f"{evidence.metric} over {evidence.unit} of {len(lines)} trials; the longest reaches "
        f"{max(resource for resource, _ in ends.values())} {evidence.unit}.",
        "One line for each trial, up to where it was trained, or a point where only that is known; the best one is "
        "thick. Curves that cross late mean that "
        "short trainings are poor predictors.",
        ("trial", evidence.unit, evidence.metric, "first value"),
        [(str(i), str(ends[i][0]), number(ends[i][1]), number(points[0][1])) for i, points in lines.items()],
        draw,
    )


def _points(trial: HpoTrial) -> list[tuple[int, float]]:
    """The sampled curve and the measurements, which are exact, by resource."""
    sampled = {point.resource: point.value for point in trial.status.curve}
    exact = {m.resource: m.value for m in trial.status.measurements}
    return sorted((resource, value) for resource, value in (sampled | exact).items() if math.isfinite(value))
