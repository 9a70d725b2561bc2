"""What the model believes along each parameter, as a picture: through the best configuration, and on average."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpo_engine.analysis.belief import Belief
from hpo_engine.analysis.slices import Slice, marginal_slices, slices_at_best
from hpo_engine.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AT_BEST, AVERAGE, MEASURED = "#dd6b20", "#2b6cb0", "grey"
COLUMNS = 3


def save_slices(belief: Belief, path: Path) -> bool:
    """Draw to ``path`` (PNG); False when matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    parameters = belief.study.space.parameters
    columns = min(COLUMNS, len(parameters))
    rows = -(-len(parameters) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.8 * rows), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns, sharey=True)).ravel().tolist()
    at_best, marginal = slices_at_best(belief), marginal_slices(belief)
    for parameter, axes in zip(parameters, panels, strict=False):
        name = parameter.name
        _draw(axes, parameter, belief, at_best.get(name), marginal.get(name))
    for axes in panels[len(parameters) :]:
        axes.set_visible(False)
    panels[0].set_ylabel(belief.study.objective.metric)
    panels[0].legend(fontsize="small", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return True


def _draw(axes: Axes, parameter: Parameter, belief: Belief, *slices: Slice | None) -> None:
    numbers = not isinstance(parameter, CategoricalParameter)
    for found, colour, label in zip(slices, (AT_BEST, AVERAGE), ("at the best", "on average"), strict=True):
        if found is None:
            continue
        if numbers:
            x = [float(value) for value in found.values]
            axes.fill_between(x, found.low, found.high, color=colour, alpha=0.2, linewidth=0)
            axes.plot(x, found.middle, color=colour, label=label)
        else:
            names = [str(value) for value in found.values]
            errors = [found.middle - found.low, found.high - found.middle]
            axes.errorbar(names, found.middle, errors, fmt="o", color=colour, label=label, capsize=3)
    measured = list(_measured(parameter, belief))
    axes.plot([x for x, _ in measured], [y for _, y in measured], ".", color=MEASURED, alpha=0.4, markersize=4)
    if isinstance(parameter, FloatParameter | IntParameter) and parameter.log:
        axes.set_xscale("log")
    axes.set_title(parameter.name, fontsize="medium")
    axes.grid(alpha=0.25)


def _measured(parameter: Parameter, belief: Belief) -> Iterator[tuple[float | str, float]]:
    """The trials behind the model, where they have the parameter; values beyond what the model tells apart, there."""
    values = belief.values(belief.posterior.y)
    for point, value in zip(belief.posterior.X, values, strict=True):
        decoded = belief.study.space.decode(point).get(parameter.name)
        if decoded is not None:
            yield (decoded if isinstance(decoded, str) else float(decoded)), float(value)
