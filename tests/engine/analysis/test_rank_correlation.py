"""Kendall's τ between rungs, against counting pairs and a published value."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_engine.analysis.rank_correlation import rank_correlations, z_score
from hpo_engine.study import Objective
from hpo_engine.trial import Measurement, Trial, TrialState

LOSS, DICE = Objective("loss", maximize=False), Objective("dice", maximize=True)


def trials_with(*curves: dict[int, float]) -> list[Trial]:
    return [
        Trial(i, {}, TrialState.REPORTED, measurements=tuple(Measurement(r, v) for r, v in curve.items()))
        for i, curve in enumerate(curves)
    ]


def counted_tau_b(a: list[int], b: list[int]) -> float:
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
    untied_a, untied_b = sum(s != 0 for s, _ in signs), sum(t != 0 for _, t in signs)
    return float(sum(s * t for s, t in signs) / np.sqrt(untied_a * untied_b))


def test_published_z() -> None:
    """N = 50 configurations with τ = 0.31: the thesis reads z = 3.17 off the same formula."""
    assert math.floor(100 * z_score(0.31, 50)) == 317


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=12))
def test_ties_are_counted_as_tau_b(values: list[tuple[int, int]]) -> None:
    a, b = [x for x, _ in values], [y for _, y in values]
    found = rank_correlations(LOSS, trials_with(*({1: float(x), 9: float(y)} for x, y in values)))[1]
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert found is None
        return
    assert found is not None
    assert found.tau == pytest.approx(counted_tau_b(a, b), abs=1e-12)
    assert found.trials == len(values)
    assert 0 <= found.p <= 1


@pytest.mark.parametrize("objective", [LOSS, DICE])
def test_direction_of_the_objective_is_no_matter(objective: Objective) -> None:
    found = rank_correlations(objective, trials_with({1: 1, 9: 10}, {1: 2, 9: 30}, {1: 3, 9: 20}))[1]
    assert found is not None
    assert found.tau == pytest.approx(1 / 3)
    assert found.agreement == pytest.approx(2 / 3)
    assert found.is_rough


def test_significance_of_unrelated_rankings_holds_its_level() -> None:
    """Two-sided p below 0.05 in 5 % of 400 pairs of unrelated rankings of 20 trials, give or take 3 sd."""
    generator = np.random.default_rng(1)
    found = [
        rank_correlations(LOSS, trials_with(*({1: x, 9: y} for x, y in generator.random((20, 2)))))[1]
        for _ in range(400)
    ]
    rejected = sum(1 for f in found if f is not None and f.p < 0.05)
    assert abs(rejected / 400 - 0.05) < 3 * (0.05 * 0.95 / 400) ** 0.5


def test_each_rung_is_compared_with_the_highest_that_enough_of_its_trials_reached() -> None:
    trials = trials_with({1: 1.0, 3: 1.0, 9: 1.0}, {1: 2.0, 3: 2.0, 9: 2.0}, {1: 3.0, 3: 3.0}, {3: 4.0}, {1: 5.0})
    found = rank_correlations(LOSS, trials)
    assert list(found) == [1, 3]
    assert found[1] is not None
    assert (found[1].reached, found[1].trials, found[1].tau) == (3, 3, 1.0)
    assert found[3] is None  # only two of its trials reached 9


def test_a_value_that_is_no_number_ranks_last() -> None:
    found = rank_correlations(DICE, trials_with({1: 0.1, 9: float("nan")}, {1: 0.2, 9: 0.5}, {1: 0.3, 9: 0.6}))[1]
    assert found is not None
    assert found.tau == 1.0


def test_nothing_without_a_fidelity() -> None:
    assert rank_correlations(LOSS, trials_with({0: 1.0}, {0: 2.0}, {0: 3.0})) == {}
    assert rank_correlations(LOSS, []) == {}
