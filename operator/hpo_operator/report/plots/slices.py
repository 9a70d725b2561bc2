"""What the surrogate believes along each parameter: at the best configuration, and averaged over all others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hpo_engine.analysis.belief import Belief
from hpo_engine.analysis.slices import Slice, best_value
from hpo_engine.parameters import Parameter
from hpo_operator.report.evidence import Evidence
from hpo_operator.report.plots.canvas import canvas, is_log, is_named, shortened, use_log_scale
from hpo_operator.report.svg import Palette, Plot
from hpo_operator.report.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AT_BEST, AVERAGE = "at the best", "on average"
Slices = list[tuple[str, Slice]]


def slices(evidence: Evidence) -> list[Plot]:
    """One for each parameter of the space that the model can tell of."""
    if evidence.belief is None:
        return []
    at_best, average = evidence.slices
    plots = []
    for parameter in evidence.stored.study.space.parameters:
        named = ((AT_BEST, at_best.get(parameter.name)), (AVERAGE, average.get(parameter.name)))
        found = [(label, one) for label, one in named if one is not None]
        if found:
            plots.append(_plot(evidence, evidence.belief, parameter, found))
    return plots


def _plot(evidence: Evidence, belief: Belief, parameter: Parameter, found: Slices) -> Plot:
    label, first = found[0]
    best = best_value(first, evidence.maximize)
    rows = [
        (name, number(value, 4), *(number(float(x[k]), 4) for x in (one.middle, one.low, one.high)))
        for name, one in found
        for k, value in enumerate(one.values)
    ]
    return Plot(
        parameter.name,
        f"What the model expects of {evidence.metric} from {number(first.values[0], 4)} to "
        f"{number(first.values[-1], 4)}; {label} {number(best, 4)} is best.",
        f"{parameter.name}: {label}, {number(best, 4)} is believed to be the best value.",
        ("slice", parameter.name, f"{evidence.metric}, middle", "one sd below", "one sd above"),
        rows,
        partial(_draw, belief, parameter, found),
    )


def _draw(belief: Belief, parameter: Parameter, found: Slices, palette: Palette) -> Figure:
    figure, axes = canvas(palette, 2.5, 3.7)
    colours = {AT_BEST: (palette.best, palette.band2), AVERAGE: (palette.accent, palette.band)}
    for label, one in reversed(found):
        colour, band = colours[label]
        if is_named(parameter):
            names = [shortened(str(value), 12) for value in one.values]
            errors = [one.middle - one.low, one.high - one.middle]
            axes.errorbar(names, one.middle, errors, fmt="o", color=colour, label=label, capsize=3)
        else:
            x = [float(value) for value in one.values]
            axes.fill_between(x, one.low, one.high, color=band, linewidth=0)
            axes.plot(x, one.middle, color=colour, label=label)
    _measured(axes, belief, parameter, palette)
    if is_log(parameter):
        use_log_scale(axes)
    axes.set(xlabel=shortened(parameter.name, 30), ylabel=belief.study.objective.metric)
    figure.legend(loc="outside upper left", ncols=2, columnspacing=1.0, handlelength=1.4)
    return figure


def _measured(axes: Axes, belief: Belief, parameter: Parameter, palette: Palette) -> None:
    """The trials behind the model, where they have the parameter."""
    values = belief.values(belief.posterior.y)
    for point, value in zip(belief.posterior.X, values, strict=True):
        decoded = belief.study.space.decode(point).get(parameter.name)
        if decoded is not None:
            x = shortened(decoded, 12) if isinstance(decoded, str) else float(decoded)
            axes.plot([x], [float(value)], "o", color=palette.muted, alpha=0.5, ms=3, zorder=1)
