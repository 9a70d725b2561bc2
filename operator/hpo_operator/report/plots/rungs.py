"""Is a short run a predictor? The same trials at a low rung and at a high one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hpo_engine.analysis.rank_correlation import RankCorrelation
from hpo_operator.report.evidence import Evidence
from hpo_operator.report.plots.canvas import canvas
from hpo_operator.report.svg import Palette, Plot
from hpo_operator.report.words import number, predicts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pairs = list[tuple[int, float, float]]


def rungs(evidence: Evidence) -> list[Plot]:
    """One for each rung that a higher one can be compared with."""
    found = [c for c in evidence.correlations.values() if c is not None]
    return [_plot(evidence, c) for c in found] if evidence.unit else []


def _plot(evidence: Evidence, c: RankCorrelation) -> Plot:
    both = ((t.index, t.value_at(c.resource), t.value_at(c.reached)) for t, _ in evidence.measured)
    pairs = [(index, low, high) for index, low, high in both if low is not None and high is not None]
    unit = evidence.unit
    return Plot(
        f"{c.resource} against {c.reached} {unit}",
        f"{len(pairs)} trials with both measurements: Kendall's tau {c.tau:.2f}, z {c.z:.2f}, p {c.p:.2g}.",
        f"Kendall's τ = {c.tau:.2f}, z = {c.z:.2f}, p = {c.p:.2g}, {c.trials} trials. {predicts(unit, c)}",
        ("trial", f"{evidence.metric} at {c.resource}", f"at {c.reached}"),
        [(str(index), number(low), number(high)) for index, low, high in pairs],
        partial(_draw, evidence, c, pairs),
    )


def _draw(evidence: Evidence, c: RankCorrelation, pairs: Pairs, palette: Palette) -> Figure:
    figure, axes = canvas(palette, 2.7, 3.7)
    axes.scatter([low for _, low, _ in pairs], [high for _, _, high in pairs], s=20, color=palette.accent)
    axes.set(
        xlabel=f"{evidence.metric} after {c.resource} {evidence.unit}", ylabel=f"after {c.reached} {evidence.unit}"
    )
    return figure
