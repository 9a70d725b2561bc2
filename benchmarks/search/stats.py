"""From raw runs to figures: normalised regret at a budget, ranks, and bootstrap intervals."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from search.problems import problem
from search.problems.base import FloatArray, regret
from search.store import Key, Run

RESAMPLES = 2000

Runs = Mapping[str, Mapping[Key, Run]]
"""By method, then by what each run is of."""


def regret_at(run: Run, budget: float) -> float:
    """Normalised regret of the true loss of what looked best after ``budget``; infinity before the first loss."""
    last = bisect_right([step[0] for step in run.steps], budget + 1e-9) - 1
    return regret(problem(run.problem), run.steps[last][2]) if last >= 0 else np.inf


def regrets(runs: Mapping[Key, Run], keys: Sequence[Key], budget: float) -> FloatArray:
    """(n,) in the order of ``keys``."""
    return np.array([regret_at(runs[key], budget) for key in keys])


def common(runs: Runs, methods: Sequence[str], problems: Sequence[str], workers: int) -> list[Key]:
    """What all of these methods ran, in order."""
    shared = set.intersection(*(set(runs[m]) for m in methods)) if methods else set()
    return sorted(key for key in shared if key.workers == workers and key.problem in problems)


@dataclass(frozen=True)
class Ranking:
    """Mean ranks (m,), 1 is best, and their 95 % intervals; ``ahead`` (m, 3): the mean rank less that of the best of
    the others, and its interval (negative and without zero: first beyond doubt)."""

    methods: tuple[str, ...]
    n: int
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    ahead: FloatArray


def ranking(runs: Runs, methods: Sequence[str], keys: Sequence[Key], budget: float) -> Ranking:
    """Ranks within each (problem, seed), ties shared; seeds are resampled within each problem."""
    table = np.array([regrets(runs[m], keys, budget) for m in methods])
    ranks = rankdata(np.round(table, 9), axis=0)
    means = np.array([ranks[:, sample].mean(axis=1) for sample in _resamples(keys)])
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    gaps = means - _best_other(means)
    ahead = np.stack([_center(ranks), *np.quantile(gaps, (0.025, 0.975), axis=0)], axis=1)
    return Ranking(tuple(methods), len(keys), ranks.mean(axis=1), low, high, ahead)


def _center(ranks: FloatArray) -> FloatArray:
    means = ranks.mean(axis=1)[None, :]
    return np.asarray((means - _best_other(means))[0])


def _best_other(means: FloatArray) -> FloatArray:
    """For each row and column the smallest of the row's other columns."""
    if means.shape[1] == 1:
        return means
    two = np.sort(means, axis=1)[:, :2]
    return np.where(means == two[:, :1], two[:, 1:], two[:, :1])


def _resamples(keys: Sequence[Key]) -> list[FloatArray]:
    groups: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(key.problem, []).append(i)
    generator = np.random.default_rng(0)
    return [
        np.concatenate([generator.choice(group, len(group)) for group in groups.values()]) for _ in range(RESAMPLES)
    ]


def medians(runs: Runs, methods: Sequence[str], keys: Sequence[Key], budget: float) -> dict[str, dict[str, float]]:
    """By method and problem."""
    names = sorted({key.problem for key in keys})
    return {
        m: {name: float(np.median(regrets(runs[m], [k for k in keys if k.problem == name], budget))) for name in names}
        for m in methods
    }


def geometric_ratio(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    """Geometric mean over problems of ours / theirs; where both are 0 they are equal, and 1e-6 is the least regret."""
    logs = [np.log(max(ours[name], 1e-6) / max(theirs[name], 1e-6)) for name in ours]
    return float(np.exp(np.mean(logs)))
