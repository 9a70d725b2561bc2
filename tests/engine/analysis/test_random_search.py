"""The theory of random search against rational arithmetic, a published table, and enumeration."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_engine.analysis.random_search import acceptable_models, draws_table, least_draws, probability_within


def missed(total: int, acceptable: int, draws: int) -> Fraction:
    """Eq. 2.20, factor by factor."""
    product = Fraction(1)
    for k in range(draws):
        product *= 1 - Fraction(acceptable, total - k)
    return product


def test_published_table() -> None:
    assert draws_table(100_000) == ((69, 298, 458), (14, 59, 90), (7, 29, 44))


def test_enumerated() -> None:
    """Every way to draw 3 of 8, of which the configurations 0 and 1 are acceptable."""
    draws = list(combinations(range(8), 3))
    hits = sum(1 for drawn in draws if {0, 1} & set(drawn))
    assert probability_within(3, 0.25, 8) == pytest.approx(hits / len(draws), rel=1e-14)


@given(st.data())
def test_probability_is_exact(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 300))
    acceptable = data.draw(st.integers(1, total))
    draws = data.draw(st.integers(0, total))
    top = acceptable / total
    assert acceptable_models(total, top) in (acceptable, acceptable - 1, 1)
    counted = acceptable_models(total, top)
    exact = float(1 - missed(total, counted, min(draws, total - counted + 1)))
    assert probability_within(draws, top, total) == pytest.approx(exact, rel=1e-12, abs=1e-15)


@given(st.integers(1, 200), st.integers(1, 100), st.integers(0, 99))
def test_least_draws_is_least(total: int, percent: int, wanted: int) -> None:
    acceptable = acceptable_models(total, percent / 100)
    n = least_draws(wanted / 100, percent / 100, total)
    assert 1 - missed(total, acceptable, n) > Fraction(wanted, 100)
    assert 1 - missed(total, acceptable, n - 1) <= Fraction(wanted, 100)


def test_met_is_not_exceeded() -> None:
    """19 of 20 draws find the one best with exactly 0.95, one of two with exactly 0.5; also in the limit."""
    assert least_draws(0.95, 0.05, 20) == 20
    assert least_draws(0.5, 0.5, 2) == 2
    assert least_draws(0.75, 0.5) == 3


def test_limit_of_large_spaces() -> None:
    assert draws_table(None) == draws_table(10**9)
    assert probability_within(90, 0.05) == pytest.approx(1 - 0.95**90, rel=1e-14)
    assert probability_within(1, 1.0) == 1.0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: probability_within(-1, 0.1), "draws: expected at least 0, found -1"),
        (lambda: probability_within(1, 0.0), "top: expected a share in"),
        (lambda: probability_within(1, 1.5), "top: expected a share in"),
        (lambda: probability_within(1, 0.5, 0), "total: expected at least 1"),
        (lambda: least_draws(1.0, 0.5), "probability: expected 0 <= probability < 1"),
        (lambda: least_draws(0.5, float("nan")), "finite"),
    ],
)
def test_refused(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
