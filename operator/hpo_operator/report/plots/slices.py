"""What the surrogate believes along each parameter: at the best configuration, and averaged over all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from hpo_engine.analysis.belief import Belief
from hpo_engine.analysis.slices import Slice, best_value
from hpo_engine.parameters import Parameter
from hpo_operator.report.evidence import Evidence
from hpo_operator.report.plots.canvas import canvas, grid, is_log, is_named, shortened, use_log_scale
from hpo_operator.report.svg import Palette, Plot
from hpo_operator.report.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AT_BEST, AVERAGE = "at the best", "on average"
COLUMNS = 3
Slices = list[tuple[str, Slice]]


def slices(evidence: Evidence) -> list[Plot]:
    """One for each parameter of the space that the model can tell of."""
    if evidence.belief is None:
        return []
    return [_plot(evidence, evidence.belief, parameter, found) for parameter, found in _found(evidence)]


def all_slices(evidence: Evidence) -> Plot | None:
    """The same side by side, for a picture of its own. None: there is no model."""
    belief, found = evidence.belief, list(_found(evidence))
    if belief is None or not found:
        return None
    single = slices(evidence)
    rows = [row for plot in single for row in plot.rows]
    words = " ".join(plot.description for plot in single)
    headings = ("slice", "value", *single[0].headings[2:])
    return Plot("Slices of the surrogate", words, words, headings, rows, partial(_draw_all, belief, found))


def _found(evidence: Evidence) -> Iterator[tuple[Parameter, Slices]]:
    at_best, average = evidence.slices
    for parameter in evidence.stored.study.space.parameters:
        named = ((AT_BEST, at_best.get(parameter.name)), (AVERAGE, average.get(parameter.name)))
        found = [(label, one) for label, one in named if one is not None]
        if found:
            yield parameter, found


def _draw_all(belief: Belief, found: Sequence[tuple[Parameter, Slices]], palette: Palette) -> Figure:
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    figure, panels = grid(palette, rows, columns)
    for (parameter, one), axes in zip(found, panels, strict=False):
        _draw_on(axes, belief, parameter, one, palette)
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(belief.study.objective.metric)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


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
    _draw_on(axes, belief, parameter, found, palette)
    axes.set_ylabel(belief.study.objective.metric)
    figure.legend(loc="outside upper left", ncols=2, columnspacing=1.0, handlelength=1.4)
    return figure


def _draw_on(axes: Axes, belief: Belief, parameter: Parameter, found: Slices, palette: Palette) -> None:
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
    axes.set_xlabel(shortened(parameter.name, 30))


def _measured(axes: Axes, belief: Belief, parameter: Parameter, palette: Palette) -> None:
    """The trials behind the model, where they have the parameter."""
    values = belief.values(belief.posterior.y)
    for point, value in zip(belief.posterior.X, values, strict=True):
        decoded = belief.study.space.decode(point).get(parameter.name)
        if decoded is not None:
            x = shortened(decoded, 12) if isinstance(decoded, str) else float(decoded)
            axes.plot([x], [float(value)], "o", color=palette.muted, alpha=0.5, ms=3, zorder=1)
