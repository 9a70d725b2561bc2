"""Analysis of variance, against scipy and against tables worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f_oneway

from hpo_engine.analysis.anova import factorial, holm, one_at_a_time


def test_one_way_is_that_of_scipy() -> None:
    generator = np.random.default_rng(0)
    settings = {depth: generator.normal(0.1 * depth, 0.2, 3 + depth).tolist() for depth in range(4)}
    found = one_at_a_time({"depth": settings})["depth"]
    expected = f_oneway(*settings.values())
    assert found.f == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.between, found.within) == (3, 14)


def test_one_way_by_hand() -> None:
    """Groups 1 2 3, 2 3 4, 6 7 8: means 2, 3, 7; between 3·(4 + 1 + 9) = 42 with 2 degrees, within 6 with 6: F = 21."""
    found = one_at_a_time({"a": {1: [1, 2, 3], 2: [2, 3, 4], 3: [6, 7, 8]}})["a"]
    assert found.f == pytest.approx(21)
    assert found.share == pytest.approx(42 / 48)


def test_adjustments_over_the_table() -> None:
    generator = np.random.default_rng(1)
    designs = {
        name: {level: generator.normal(shift * level, 1, 5).tolist() for level in range(3)}
        for name, shift in (("strong", 5.0), ("weak", 1.0), ("none", 0.0))
    }
    found = one_at_a_time(designs)
    assert list(found) == list(designs)
    p = [test.p for test in found.values()]
    assert [test.bonferroni for test in found.values()] == pytest.approx([min(1, 3 * value) for value in p])
    assert tuple(test.holm for test in found.values()) == holm(p)
    assert found["strong"].significant
    assert not found["none"].significant


def test_holm_by_hand() -> None:
    """Sorted 0.01, 0.015, 0.04, 0.3 times 4, 3, 2, 1: 0.04, 0.045, 0.08, 0.3."""
    assert holm([0.04, 0.01, 0.3, 0.015]) == pytest.approx((0.08, 0.04, 0.3, 0.045))
    assert holm([0.02, 0.011]) == pytest.approx((0.022, 0.022))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()


def test_noise_is_called_significant_as_rarely_as_promised() -> None:
    """Of 400 tables of 5 parameters that do nothing, about 5 % name any: 20, give or take 4.4."""
    generator = np.random.default_rng(2)
    tables = ({f"p{j}": {k: generator.normal(size=5).tolist() for k in range(4)} for j in range(5)} for _ in range(400))
    wrong = sum(any(test.significant for test in one_at_a_time(table).values()) for table in tables)
    assert 7 <= wrong <= 33


def test_factorial_by_hand() -> None:
    """y = 3a + 5ab with a, b = ±1 and errors ±1: SS = 8·9, 0, 8·25, error 8 with 4 degrees: F = 36, 0, 100."""
    levels = [(a, b) for a in (-1, 1) for b in (-1, 1) for _ in range(2)]
    values = [3 * a + 5 * a * b + (-1) ** i for i, (a, b) in enumerate(levels)]
    found = factorial(["a", "b"], levels, values)
    assert list(found) == [("a",), ("b",), ("a", "b")]
    assert [test.f for test in found.values()] == pytest.approx([36, 0, 100])
    assert [(test.between, test.within) for test in found.values()] == [(1, 4)] * 3
    assert [test.share for test in found.values()] == pytest.approx([72 / 280, 0, 200 / 280])


def test_a_factorial_of_one_parameter_is_one_way() -> None:
    generator = np.random.default_rng(3)
    settings = {name: generator.normal(size=4).tolist() for name in ("Dice", "CrossEntropy", "Focal")}
    levels = [(name,) for name, values in settings.items() for _ in values]
    found = factorial(["loss"], levels, [v for values in settings.values() for v in values])["loss",]
    expected = one_at_a_time({"loss": settings})["loss"]
    assert (found.f, found.p, found.share) == pytest.approx((expected.f, expected.p, expected.share))


def test_higher_interactions_are_the_error() -> None:
    """2³ runs once each, main effects only: 1 + 3 parameters leave 4 degrees of freedom."""
    levels = [(a, b, c) for a in "xy" for b in "xy" for c in "xy"]
    values = [float(i) + (i == 3) for i in range(8)]
    found = factorial(["a", "b", "c"], levels, values, order=1)
    assert [test.within for test in found.values()] == [4, 4, 4]
    with pytest.raises(ValueError, match="runs to estimate the error"):
        factorial(["a", "b", "c"], levels, values, order=3)


def test_nothing_varies_within() -> None:
    found = one_at_a_time({"a": {1: [0.5, 0.5], 2: [0.7, 0.7]}, "b": {1: [0.1, 0.1], 2: [0.1, 0.1]}})
    assert (found["a"].f, found["a"].p) == (float("inf"), 0.0)
    assert (found["b"].f, found["b"].p) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({1: [1.0, 2.0]}, "expected at least two settings"),
        ({1: [1.0], 2: [2.0]}, "expected a setting with at least two measurements"),
        ({1: [1.0, 2.0], 2: []}, "each with a measurement"),
        ({1: [1.0, float("nan")], 2: [1.0]}, "expected finite numbers"),
    ],
)
def test_designs_that_cannot_be_analysed(settings: dict[int, list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=f"depth: .*{message}"):
        one_at_a_time({"depth": settings})


def test_unbalanced_factorials_are_refused() -> None:
    with pytest.raises(ValueError, match="unbalanced"):
        factorial(["a", "b"], [(0, 0), (0, 1), (1, 0)], [1, 2, 3])
    with pytest.raises(ValueError, match="b: expected at least two settings"):
        factorial(["a", "b"], [(0, 0), (1, 0)], [1, 2])
    with pytest.raises(ValueError, match="expected 3 rows"):
        factorial(["a"], [(0,), (1,)], [1, 2, 3])
