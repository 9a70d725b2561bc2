"""Importances of the parameters: functional ANOVA of the surrogate (Hutter et al. 2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo_operator.report.evidence import Evidence
from hpo_operator.report.plots.canvas import canvas, shortened
from hpo_operator.report.svg import Palette, Plot
from hpo_operator.report.words import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def importance(evidence: Evidence) -> Plot | None:
    """None: no model, or one that sees no difference."""
    found = evidence.importances
    if found is None:
        return None
    effects = sorted(found.effects.items(), key=lambda item: -item[1].total)

    def draw(palette: Palette) -> Figure:
        figure, axes = canvas(palette, 0.9 + 0.27 * len(effects))
        axes.grid(axis="y", visible=False)
        names = [shortened(name) for name, _ in effects]
        places = range(len(effects))
        axes.barh(places, [100 * e.total for _, e in effects], color=palette.soft, height=0.7, label="with others")
        axes.barh(places, [100 * e.main for _, e in effects], color=palette.accent, height=0.7, label="alone")
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set(xlabel=f"share of the variance of {evidence.metric}, %", xlim=(0, None))
        axes.legend(loc="lower right")
        return figure

    top = effects[0]
    return Plot(
        "Importances of the parameters",
        f"Bars of {len(effects)} parameters; the largest is {top[0]} with {percent(top[1].total)} of the variance.",
        "The dark part is what a parameter moves alone, the light one what it moves together with others. Light parts "
        "count for several parameters at once, so that all bars add up to more than 100 %.",
        ("parameter", "alone", "with others"),
        [(name, percent(effect.main), percent(effect.total)) for name, effect in effects],
        draw,
    )
