"""The optimisation history as a picture: every trial, running median and best (Bertrand et al., ISBI 2017, Fig. 4)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Raw = Mapping[str, Any]
FULL, LOW, FAILED, BEST = "#2b6cb0", "#a0bcd8", "#c53030", "#dd6b20"


def save_history(study: Raw, trials: Sequence[Raw], path: Path) -> bool:
    """Draw to ``path`` (PNG); False when matplotlib is not installed or nothing was measured."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    ordered = sorted(trials, key=lambda trial: trial["spec"]["index"])
    last = [(t["spec"]["index"], m[-1]) for t in ordered if (m := (t.get("status") or {}).get("measurements"))]
    if not last:
        return False
    full = max(measurement["resource"] for _, measurement in last)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for chosen, colour, label in (
        (True, FULL, "measured at full fidelity" if full else "measured"),
        (False, LOW, "stopped at a lower rung"),
    ):
        points = [(i, m["value"]) for i, m in last if (m["resource"] == full) is chosen]
        if points:
            axes.scatter([i for i, _ in points], [v for _, v in points], s=28, color=colour, label=label, zorder=3)
    top = [(i, m["value"]) for i, m in last if m["resource"] == full]
    pick = max if study["spec"]["objective"]["direction"] == "Maximize" else min
    numbers = [i for i, _ in top]
    values = [v for _, v in top]
    axes.step(numbers, [pick(values[: k + 1]) for k in range(len(top))], where="post", color=BEST, label="best so far")
    axes.step(
        numbers,
        [statistics.median(values[: k + 1]) for k in range(len(top))],
        where="post",
        color="grey",
        linestyle="--",
        label="running median",
    )
    failed = [t["spec"]["index"] for t in ordered if (t.get("status") or {}).get("phase") == "Failed"]
    axes.plot(
        failed,
        [0.02] * len(failed),
        "x",
        color=FAILED,
        transform=axes.get_xaxis_transform(),
        label="failed" if failed else "_none",
    )
    axes.set(xlabel="trial", ylabel=study["spec"]["objective"]["metric"], title=study["metadata"]["name"])
    axes.grid(alpha=0.25)
    axes.legend(fontsize="small", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return True
