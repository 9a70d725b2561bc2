"""When two things are wanted at once: the trials that no other beats in both, such as Dice against training time.

A point dominates another if it is nowhere worse and somewhere better. Trials with equal values do not dominate each
other, so all of them stay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from hpo_engine.parameters import FloatArray


@dataclass(frozen=True)
class Goal:
    """A metric, and whether more of it is better."""

    metric: str
    maximize: bool

    def loss(self, value: float) -> float:
        return -value if self.maximize else value


Measured = Mapping[int, Mapping[str, float]]
"""Metrics by name, by the index of the trial."""


def pareto_front(measured: Measured, goals: Sequence[Goal]) -> tuple[int, ...]:
    """Ascending indices of the trials that no other dominates. Exact.

    Trials that lack one of the metrics, or whose value is no finite number, are left out.
    O(n log n) for one or two goals, O(n²) for more.

    Raises:
        ValueError: no goals.
    """
    indices, losses = _losses(measured, goals)
    kept = _sweep(losses) if len(goals) <= 2 else [i for i, row in enumerate(losses) if not _dominated(row, losses)]
    return tuple(sorted(indices[i] for i in kept))


def hypervolume(measured: Measured, goals: tuple[Goal, Goal], reference: tuple[float, float]) -> float:
    """The area that the trials dominate, up to ``reference``, in the product of both metrics' units. Exact.

    ``reference``: values of the two metrics that are just not acceptable; trials beyond them add nothing.
    Zitzler & Thiele 1998, "Multiobjective optimization using evolutionary algorithms", section 4.
    """
    edge = [goal.loss(value) for goal, value in zip(goals, reference, strict=True)]
    _, losses = _losses(measured, goals)
    area, lowest = 0.0, edge[1]
    for first, second in sorted(losses[i].tolist() for i in _sweep(losses)):
        if first < edge[0] and second < lowest:
            area += (edge[0] - first) * (lowest - second)
            lowest = second
    return area


def _losses(measured: Measured, goals: Sequence[Goal]) -> tuple[list[int], FloatArray]:
    """Indices (n,) of the complete trials, and what to minimise (n, goals)."""
    if not goals:
        raise ValueError("goals: expected at least one, found none")
    rows = {
        index: [goal.loss(metrics.get(goal.metric, math.nan)) for goal in goals] for index, metrics in measured.items()
    }
    complete = {index: row for index, row in rows.items() if all(map(math.isfinite, row))}
    return list(complete), np.array(list(complete.values()), dtype=np.float64).reshape(len(complete), len(goals))


def _sweep(losses: FloatArray) -> list[int]:
    """Rows of the front of one or two columns: in ascending order each must be better than all before in the last."""
    first, last = losses[:, 0].tolist(), losses[:, -1].tolist()
    order = sorted(range(len(losses)), key=lambda i: (first[i], last[i]))
    kept: list[int] = []
    lowest = math.inf
    for (_, value), same in groupby(order, key=lambda i: (first[i], last[i])):
        if value < lowest:
            lowest = value
            kept.extend(same)
    return kept


def _dominated(loss: FloatArray, losses: FloatArray) -> bool:
    return bool(np.any(np.all(losses <= loss, axis=1) & np.any(losses < loss, axis=1)))
