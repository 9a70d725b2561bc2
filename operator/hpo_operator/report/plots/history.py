"""Optimisation history: every trial, the running best and the running median (Bertrand et al., ISBI 2017, Fig. 4)."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from hpo_operator.report.evidence import Evidence
from hpo_operator.report.plots.canvas import canvas
from hpo_operator.report.svg import Palette, Plot
from hpo_operator.report.words import after, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def history(evidence: Evidence) -> Plot | None:
    """None: nothing was measured."""
    points = [(trial.index, trial.latest.resource, trial.latest.value) for trial, _ in evidence.measured]
    if not points:
        return None
    full = max(resource for _, resource, _ in points)
    running = _running([(index, value) for index, resource, value in points if resource == full], evidence.maximize)
    failed = [found.spec.index for found in evidence.stored.objects if found.status.failure is not None]

    def draw(palette: Palette) -> Figure:
        from matplotlib.ticker import MaxNLocator

        figure, axes = canvas(palette)
        for chosen, colour, label in (
            (True, palette.accent, f"measured{after(evidence.stored.study, full)}"),
            (False, palette.soft, "ended on a lower rung"),
        ):
            shown = [(index, value) for index, resource, value in points if (resource == full) is chosen]
            if shown:
                x, y = zip(*shown, strict=True)
                axes.scatter(x, y, s=22, color=colour, label=label, zorder=3)
        numbers = [index for index, _, _ in running]
        axes.step(
            numbers, [best for _, best, _ in running], where="post", color=palette.best, lw=1.8, label="best so far"
        )
        middle = [median for _, _, median in running]
        axes.step(numbers, middle, where="post", color=palette.muted, lw=1.2, ls="--", label="running median")
        if failed:
            across = axes.get_xaxis_transform()
            axes.plot(failed, [0.03] * len(failed), "x", color=palette.bad, transform=across, label="failed")
        axes.set(xlabel="trial", ylabel=evidence.metric)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, handlelength=1.4)
        return figure

    by_index = {index: (best, median) for index, best, median in running}
    rows = [
        (str(i), number(v), str(r) if evidence.unit else "-", *(number(x) for x in by_index.get(i, (None, None))))
        for i, r, v in points
    ]
    extreme = "maximum" if evidence.maximize else "minimum"
    return Plot(
        "Optimisation history",
        f"{evidence.metric} of {len(points)} measured trials in the order of their numbers; the running {extreme} ends "
        f"at {number(running[-1][1])}, the running median at {number(running[-1][2])}; {len(failed)} trials failed.",
        f"Each point is a trial. The solid line is the running {extreme} and the dashed one the running median of the "
        f"trials measured{after(evidence.stored.study, full)}. A median that improves shows that the search came to "
        "good regions, not only upon a lucky trial.",
        ("trial", evidence.metric, evidence.unit or "resource", f"running {extreme}", "running median"),
        rows,
        draw,
    )


def _running(points: list[tuple[int, float]], maximize: bool) -> list[tuple[int, float, float]]:
    """(trial, best so far, median so far)."""
    values = [value for _, value in points]
    pick = max if maximize else min
    return [(index, pick(values[: k + 1]), statistics.median(values[: k + 1])) for k, (index, _) in enumerate(points)]
