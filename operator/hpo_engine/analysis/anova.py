"""Which parameters matter, from runs that were designed to tell: analysis of variance with repeated measurements.

One-at-a-time designs vary one parameter and leave all others at a standard configuration; every setting is measured
several times. For each parameter a one-way ANOVA asks whether the means of its settings differ by more than the
measurements within a setting do. That is the analysis of the thesis on AutoML for medical segmentation (sections 3.3.2
and 4.1, Table 4.1), which takes the last five evaluations of one training as its samples. They come from the same
training, so they are less independent than the test believes, and its p too small.

Factorial designs vary several parameters together and measure every combination equally often; the variance then splits
exactly into that of each parameter, of their combinations, and of the measurements.

Testing many parameters finds some by luck; the p of all parameters are adjusted together (Bonferroni; Holm 1979, "A
simple sequentially rejective multiple test procedure", never less powerful).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from hpo_engine.parameters import FloatArray
from hpo_engine.trial import Value

LEVEL = 0.05
"""Of significance, for all tests of a table together."""


@dataclass(frozen=True)
class VarianceTest:
    """An F test: ``f`` with ``between`` and ``within`` degrees of freedom, and the chance ``p`` of a larger one.

    ``share`` of the whole sum of squares (η²). ``bonferroni`` and ``holm``: p adjusted for all tests of the table.
    """

    f: float
    between: int
    within: int
    p: float
    share: float
    bonferroni: float
    holm: float

    @property
    def significant(self) -> bool:
        """At LEVEL over all tests of the table together, by Holm's adjustment."""
        return self.holm <= LEVEL


Settings = Mapping[Value, Sequence[float]]
"""Repeated measurements by the value of one parameter."""


def one_at_a_time(designs: Mapping[str, Settings]) -> dict[str, VarianceTest]:
    """One-way ANOVA of each parameter, from its own runs; in the order of ``designs``.

    ``designs``: by the parameter's name. Settings may have been measured unequally often. F is infinite where settings
    differ although nothing varies within them, and 0 with p = 1 where nothing varies at all.

    Raises:
        ValueError: a parameter with fewer than two settings, no setting that was measured twice, an empty setting or a
            number that is not finite.
    """
    rows = [
        _one_way(name, [np.asarray(values, dtype=np.float64) for values in settings.values()])
        for name, settings in designs.items()
    ]
    return dict(zip(designs, _adjusted(rows), strict=True))


def factorial(
    names: Sequence[str], levels: Sequence[Sequence[Value]], values: Sequence[float], order: int = 2
) -> dict[tuple[str, ...], VarianceTest]:
    """Balanced factorial ANOVA: effects of single parameters, then of combinations of up to ``order`` of them.

    ``levels`` (n, k): the setting of each of the k parameters in run i; ``values`` (n,): what it measured. Every
    combination of the settings that occur must have been measured equally often. What the effects do not explain,
    combinations of more than ``order`` among it, is the error that F divides by. Montgomery 2017, "Design and Analysis
    of Experiments", section 5.3.

    Raises:
        ValueError: the design is not balanced, a parameter has a single setting, a number is not finite, or nothing is
            left to estimate the error from.
    """
    y = _finite("values", np.asarray(values, dtype=np.float64))
    codes = _codes(names, levels, len(y))
    centred, squares = y - np.mean(y), {}
    projections: dict[tuple[int, ...], FloatArray] = {(): np.zeros_like(y)}
    for effect in (e for size in range(1, order + 1) for e in combinations(range(len(names)), size)):
        below = sum(projections[part] for size in range(len(effect)) for part in combinations(effect, size))
        projections[effect] = _cell_means(centred, codes[:, effect]) - below
        freedom = int(np.prod([len(np.unique(codes[:, j])) - 1 for j in effect]))
        squares[effect] = float(projections[effect] @ projections[effect]), freedom
    whole = float(centred @ centred)
    left = len(y) - 1 - sum(freedom for _, freedom in squares.values())
    if left < 1:
        raise ValueError(f"values: expected more than {len(y) - left} runs to estimate the error, found {len(y)}")
    rest = float(np.sum((centred - sum(projections.values())) ** 2))
    rows = [_row(square, freedom, rest, left, whole) for square, freedom in squares.values()]
    return dict(zip([tuple(names[j] for j in effect) for effect in squares], _adjusted(rows), strict=True))


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values, in the order given: the k-th smallest times (m - k + 1), never less than the one before."""
    order, adjusted, largest = np.argsort(p, kind="stable"), [0.0] * len(p), 0.0
    for k, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - k) * p[place]))
        adjusted[place] = largest
    return tuple(adjusted)


@dataclass(frozen=True)
class _Row:
    f: float
    between: int
    within: int
    p: float
    share: float


def _one_way(name: str, groups: Sequence[FloatArray]) -> _Row:
    if len(groups) < 2 or any(len(group) == 0 for group in groups):
        raise ValueError(f"{name}: expected at least two settings, each with a measurement, found less")
    y = _finite(name, np.concatenate(groups))
    within = len(y) - len(groups)
    if within < 1:
        raise ValueError(f"{name}: expected a setting with at least two measurements, found none")
    grand = float(np.mean(y))
    square = sum(len(group) * (float(np.mean(group)) - grand) ** 2 for group in groups)
    rest = sum(float(np.sum((group - np.mean(group)) ** 2)) for group in groups)
    return _row(square, len(groups) - 1, rest, within, float(np.sum((y - grand) ** 2)))


def _row(square: float, between: int, rest: float, within: int, whole: float) -> _Row:
    """Sums of squares below the rounding of the whole one are none."""
    tiny = 1e-20 * max(whole, np.finfo(np.float64).tiny)
    if square <= tiny:
        return _Row(0.0, between, within, 1.0, 0.0)
    f = float("inf") if rest <= tiny else (square / between) / (rest / within)
    return _Row(f, between, within, float(fdtrc(between, within, f)) if np.isfinite(f) else 0.0, square / whole)


def _adjusted(rows: Sequence[_Row]) -> list[VarianceTest]:
    by_holm = holm([row.p for row in rows])
    return [
        VarianceTest(row.f, row.between, row.within, row.p, row.share, min(1.0, len(rows) * row.p), adjusted)
        for row, adjusted in zip(rows, by_holm, strict=True)
    ]


def _codes(names: Sequence[str], levels: Sequence[Sequence[Value]], runs: int) -> NDArray[np.int64]:
    """Settings (n, k) as small integers. Raises ValueError unless every combination occurs equally often."""
    if len(levels) != runs or any(len(row) != len(names) for row in levels):
        raise ValueError(f"levels: expected {runs} rows of {len(names)} settings, found others")
    columns = []
    for j, name in enumerate(names):
        places = {value: code for code, value in enumerate(dict.fromkeys(row[j] for row in levels))}
        if len(places) < 2:
            raise ValueError(f"{name}: expected at least two settings, found {len(places)}")
        columns.append([places[row[j]] for row in levels])
    codes = np.array(columns, dtype=np.int64).T
    counts = np.unique(codes, axis=0, return_counts=True)[1]
    if len(counts) < np.prod([len(set(column)) for column in columns]) or len(set(counts.tolist())) > 1:
        raise ValueError("levels: expected every combination of settings equally often, found an unbalanced design")
    return codes


def _cell_means(y: FloatArray, codes: NDArray[np.int64]) -> FloatArray:
    """Each run's mean (n,) over the runs with the same ``codes`` (n, c)."""
    _, cell = np.unique(codes, axis=0, return_inverse=True)
    return np.asarray((np.bincount(cell, weights=y) / np.bincount(cell))[cell])


def _finite(name: str, y: FloatArray) -> FloatArray:
    if not np.all(np.isfinite(y)):
        raise ValueError(f"{name}: expected finite numbers, found another")
    return y
