"""How far a figure might have come out otherwise with other patients: percentile bootstrap intervals.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. Whole groups are drawn with replacement:
images of one patient are alike, and drawing them one by one would make the intervals too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo_trainer.seeding import derive

Rows = NDArray[np.intp]
Statistics = Callable[[Rows], Mapping[str, float]]
"""Figures by name, of a sample given as row numbers, with repetitions. NaN where the sample cannot tell."""

DRAWS, LEVEL = 2000, 0.95


@dataclass(frozen=True)
class Figure:
    """``value`` on all rows; ``low`` and ``high`` bound the middle ``LEVEL`` of the draws. All are NaN if unknown."""

    value: float
    low: float
    high: float


def intervals(statistics: Statistics, groups: Sequence[str], draws: int = DRAWS, seed: int = 0) -> dict[str, Figure]:
    """Every figure with its interval. ``groups``: of each of the rows; a draw takes as many groups as there are.

    Draws that a figure cannot be told of (NaN: a class has not been drawn) do not count for it. One group alone has no
    interval.
    """
    whole = statistics(np.arange(len(groups)))
    _, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if member.max() == 0:
        return {name: Figure(value, math.nan, math.nan) for name, value in whole.items()}
    rows_of = [np.flatnonzero(member == group) for group in range(int(member.max()) + 1)]
    random = np.random.default_rng(derive(seed, "bootstrap"))
    drawn: dict[str, list[float]] = {name: [] for name in whole}
    for _ in range(draws):
        chosen = random.integers(len(rows_of), size=len(rows_of))
        sample = statistics(np.concatenate([rows_of[group] for group in chosen]))
        for name, values in drawn.items():
            values.append(sample[name])
    return {name: Figure(value, *_middle(drawn[name])) for name, value in whole.items()}


def _middle(values: Sequence[float]) -> tuple[float, float]:
    known = np.asarray(values)[~np.isnan(values)]
    if not known.size:
        return math.nan, math.nan
    outside = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(known, [outside, 100 - outside])
    return float(low), float(high)
