"""Searches over lists of known losses, and the draws that they take to their goals."""

from __future__ import annotations

import numpy as np
import pytest

from engine.studies import BRANIN, MIXED, branin, mixed
from hpo_engine.analysis.goals import draws_to, expected_random_draws, goals
from hpo_engine.analysis.table_search import Table, _Model, random_order, search_order
from hpo_engine.samplers.sobol import sobol_point
from hpo_engine.surrogate.kernels import Kernel, metrics
from hpo_engine.surrogate.posterior import Posterior


def branin_table(rows: int) -> Table:
    configurations = [BRANIN.decode(sobol_point(2, 3, i)) for i in range(rows)]
    return Table.of(BRANIN, configurations, [branin(c) for c in configurations])


def mixed_table(rows: int) -> Table:
    configurations = [MIXED.decode(sobol_point(MIXED.dimension, 3, i)) for i in range(rows)]
    return Table.of(MIXED, configurations, [mixed(c) for c in configurations])


def test_the_updates_are_the_posterior() -> None:
    """Means and variances at every row after 20 outcomes equal those of a dense factorisation."""
    table = mixed_table(60)
    kernel = Kernel("Matern52", metrics(MIXED), np.linspace(0.3, 2, MIXED.dimension), 1.7)
    model = _Model(table, table.losses, kernel(table.points, table.points), 0.2, 0.01, range(0, 40, 2))
    posterior, _ = Posterior.of(kernel, 0.2, 0.01, table.points[:40:2], table.losses[:40:2])
    mean, sd = posterior.predict(table.points)
    assert model._means == pytest.approx(mean, abs=1e-10)
    assert model._variances == pytest.approx(sd**2, abs=1e-10)


@pytest.mark.parametrize("acquisition", ["EI", "PI"])
def test_no_row_twice_and_the_best_last(acquisition: str) -> None:
    table = mixed_table(80)
    order = search_order(table, 7, acquisition=acquisition)  # type: ignore[arg-type]
    assert order[0] == 7
    assert len(set(order.tolist())) == len(order)
    assert table.losses[order[-1]] == table.losses.min()
    assert np.array_equal(search_order(table, 7, limit=9, acquisition=acquisition), order[:9])  # type: ignore[arg-type]
    best = int(np.argmin(table.losses))
    assert search_order(table, best).tolist() == [best]


def test_losses_are_looked_at_after_their_draw_alone() -> None:
    """With the losses of all later draws shuffled among themselves the first twelve draws stay as they were."""
    table = branin_table(120)
    order = search_order(table, 0, limit=12)
    assert len(order) == 12
    later = np.setdiff1d(np.arange(120), order)
    losses = table.losses.copy()
    losses[later] = np.random.default_rng(0).permutation(losses[later])
    assert np.array_equal(search_order(Table(BRANIN, table.points, losses), 0, limit=12), order)


def test_a_smooth_function_takes_fewer_draws_than_luck() -> None:
    table = branin_table(200)
    reached = goals(table.losses)
    searched = draws_to(reached["best"], [search_order(table, first) for first in range(0, 200, 25)])
    lucky = draws_to(reached["best"], [random_order(table, 0, i) for i in range(300)])
    assert lucky.average == pytest.approx(expected_random_draws(200, 1), rel=0.1)
    assert searched.average < 0.3 * lucky.average


def test_equal_losses_end_at_once() -> None:
    table = Table(BRANIN, np.random.default_rng(0).random((5, 2)), np.ones(5))
    assert search_order(table, 3).tolist() == [3]


def test_goals_by_hand() -> None:
    """Of 20 losses 1.00, 1.04, 1.08, ...: within 1 % one, 5 % two, 10 % three; the top 10 % are two."""
    losses = 1 + 0.04 * np.arange(20)[::-1]
    assert {name: int(reached.sum()) for name, reached in goals(losses).items()} == {
        "best": 1,
        "within 1 %": 1,
        "within 5 %": 2,
        "within 10 %": 3,
        "top 1 %": 1,
        "top 5 %": 1,
        "top 10 %": 2,
    }
    found = draws_to(goals(losses)["within 10 %"], [np.arange(20), np.arange(20)[::-1], np.arange(3)])
    assert (found.average, found.worst, found.missed) == (pytest.approx((18 + 1 + 3) / 3), 18, 1)


def test_expected_random_draws() -> None:
    """600 models, one of them wanted: 300.5; the thesis measured 297."""
    assert expected_random_draws(600, 1) == 300.5
    assert expected_random_draws(600, 6) == pytest.approx(85.857, abs=1e-3)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="expected positive numbers"):
        goals(np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="expected finite numbers"):
        Table(BRANIN, np.zeros((1, 2)), np.array([np.nan]))
    with pytest.raises(ValueError, match="expected 2 rows of 2 coordinates"):
        Table(BRANIN, np.zeros((1, 2)), np.zeros(2))
    with pytest.raises(IndexError, match="expected a row from 0 to 9, found 10"):
        search_order(branin_table(10), 10)
