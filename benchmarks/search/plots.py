"""Plots of the report: regret over spent budget per problem, and over all problems with mean ranks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from search import problems as known
from search.cluster import BUDGETS
from search.problems.base import FloatArray
from search.stats import Runs, common, ranking, regrets
from search.store import Key

mpl.use("Agg")
from matplotlib import pyplot as plt  # after the choice of the backend

FLOOR = 1e-4
"""The least regret that a logarithmic axis shows."""


def plot(runs: Runs, out: Path) -> None:
    """``regret-x<workers>.png`` and ``all-problems.png``."""
    colors = {m: plt.get_cmap("tab20")(i % 20) for i, m in enumerate(runs)}
    for workers in BUDGETS:
        _per_problem(runs, workers, colors, out / f"regret-x{workers}.png")
    _over_all(runs, colors, out / "all-problems.png")


def _grid(workers: int) -> FloatArray:
    return np.asarray(np.geomspace(1, BUDGETS[workers], 25))


def _per_problem(runs: Runs, workers: int, colors: dict[str, Any], path: Path) -> None:
    names = [n for n in known.NAMES if any(common(runs, [m], [n], workers) for m in runs)]
    if not names:
        return
    rows = -(-len(names) // 4)
    figure, axes = plt.subplots(rows, 4, figsize=(18, 3.6 * rows), squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, names, strict=False):
        for m in runs:
            _curve(axis, runs, m, common(runs, [m], [name], workers), workers, colors[m])
        axis.set_title(name + ("  (dev)" if name in known.DEV else ""), fontsize=9)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=6, fontsize=8)
    figure.suptitle(f"Normalised regret over full trainings, {workers} workers: medians and quartiles")
    _save(figure, path)


def _over_all(runs: Runs, colors: dict[str, Any], path: Path) -> None:
    """On the held-out problems, whatever methods have at least half as many runs there as the one with most."""
    figure, axes = plt.subplots(2, len(BUDGETS), figsize=(18, 9), squeeze=False)
    labelled: dict[str, Any] = {}
    for column, workers in enumerate(BUDGETS):
        methods = _covered(runs, workers)
        keys = common(runs, methods, known.HELD_OUT, workers)
        if not keys:
            continue
        for m in methods:
            _curve(axes[0, column], runs, m, keys, workers, colors[m])
        means = np.array([ranking(runs, methods, keys, b).mean for b in _grid(workers)[::3]])
        for i, m in enumerate(methods):
            line = axes[1, column].semilogx(_grid(workers)[::3], means[:, i], color=colors[m], linewidth=_width(m))
            labelled.setdefault(m, line[0])
        named = f"{workers} workers" if workers > 1 else "1 worker"
        axes[0, column].set_title(f"{named}, {len(keys)} runs each: median regret and quartiles")
        axes[1, column].set_title("mean rank")
        axes[1, column].set_xlabel("budget, full trainings")
    figure.legend(list(labelled.values()), list(labelled), loc="lower center", ncol=len(labelled))
    _save(figure, path)


def _width(method: str) -> float:
    return 3.0 if method.startswith("ours-") else 1.2


def _covered(runs: Runs, workers: int) -> list[str]:
    counts = {m: len(common(runs, [m], known.HELD_OUT, workers)) for m in runs}
    return [m for m in runs if counts[m] >= max(counts.values()) / 2 > 0]


def _curve(axis: Any, runs: Runs, m: str, keys: Sequence[Key], workers: int, color: Any) -> None:
    if not keys:
        return
    grid = _grid(workers)
    values = np.array([regrets(runs[m], keys, b) for b in grid])
    low, middle, high = np.maximum(np.quantile(values, (0.25, 0.5, 0.75), axis=1, method="nearest"), FLOOR)
    axis.loglog(grid, middle, color=color, label=m, linewidth=_width(m))
    axis.fill_between(grid, low, np.minimum(high, 10), color=color, alpha=0.06)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout(rect=(0, 0.06, 1, 0.98))
    figure.savefig(path, dpi=80)
    plt.close(figure)
