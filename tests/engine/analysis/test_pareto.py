"""Fronts against the definition, hypervolumes against counting cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_engine.analysis.pareto import Goal, Measured, hypervolume, pareto_front

DICE, SECONDS, MEMORY = Goal("dice", maximize=True), Goal("seconds", maximize=False), Goal("memory", maximize=False)
SMALL = st.integers(0, 6).map(float)


def by_definition(measured: Measured, goals: list[Goal]) -> tuple[int, ...]:
    def dominates(a: int, b: int) -> bool:
        pairs = [(goal.loss(measured[a][goal.metric]), goal.loss(measured[b][goal.metric])) for goal in goals]
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    return tuple(i for i in sorted(measured) if not any(dominates(j, i) for j in measured))


@given(st.lists(st.tuples(SMALL, SMALL, SMALL), max_size=25), st.integers(1, 3))
def test_front_is_what_the_definition_says(values: list[tuple[float, float, float]], goals: int) -> None:
    measured = {i: {"dice": d, "seconds": s, "memory": m} for i, (d, s, m) in enumerate(values)}
    chosen = [DICE, SECONDS, MEMORY][:goals]
    assert pareto_front(measured, chosen) == by_definition(measured, chosen)


@given(st.lists(st.tuples(SMALL, SMALL), max_size=12), st.integers(0, 6), st.integers(0, 6))
def test_hypervolume_counts_cells(values: list[tuple[float, float]], dice: int, seconds: int) -> None:
    """With whole numbers the area is the number of unit cells that some trial dominates."""
    measured = {i: {"dice": d, "seconds": s} for i, (d, s) in enumerate(values)}
    cells = [(d, s) for d in range(dice, 6) for s in range(seconds) if any(a >= d + 1 and b <= s for a, b in values)]
    assert hypervolume(measured, (DICE, SECONDS), (dice, seconds)) == len(cells)


def test_incomplete_trials_are_left_out() -> None:
    measured = {
        0: {"dice": 0.8, "seconds": 60.0},
        1: {"dice": 0.9},
        2: {"dice": float("nan"), "seconds": 1.0},
        3: {"dice": 0.7, "seconds": float("inf")},
        4: {"dice": 0.6, "seconds": 90.0},
        5: {"dice": 0.8, "seconds": 60.0},
    }
    assert pareto_front(measured, [DICE, SECONDS]) == (0, 5)
    assert pareto_front({}, [DICE, SECONDS]) == ()


def test_no_goals() -> None:
    with pytest.raises(ValueError, match="goals: expected at least one"):
        pareto_front({0: {}}, [])
