"""Bracket tables in integers, against Algorithm 1 of Li et al. 2018 and by their defining properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_engine.errors import StudyError
from hpo_engine.fidelity.brackets import hyperband_brackets, largest_s
from hpo_engine.study import Fidelity


def table(minimum: int, maximum: int, eta: int) -> list[list[tuple[int, int]]]:
    """(trials, resource) of every rung of every bracket."""
    brackets = hyperband_brackets(Fidelity("epochs", minimum, maximum, eta))
    return [[(rung.width, rung.resource) for rung in bracket.rungs] for bracket in brackets]


def test_table_of_81() -> None:
    assert table(1, 81, 3) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


def test_table_of_27() -> None:
    assert table(1, 27, 3) == [
        [(27, 1), (9, 3), (3, 9), (1, 27)],
        [(12, 3), (4, 9), (1, 27)],
        [(6, 9), (2, 27)],
        [(4, 27)],
    ]


def test_one_iteration_of_27_takes_357_epochs_with_checkpoints_and_423_without() -> None:
    resumed = scratch = 0
    for rungs in table(1, 27, 3):
        reached = 0
        for width, resource in rungs:
            scratch += width * resource
            resumed += width * (resource - reached)
            reached = resource
    assert (resumed, scratch) == (357, 423)


@pytest.mark.parametrize("power, eta", [(5, 3), (10, 3), (3, 10), (15, 2), (30, 3), (3, 5)])
def test_exact_powers_lose_no_bracket(power: int, eta: int) -> None:
    assert len(table(1, eta**power, eta)) == power + 1
    assert largest_s(Fidelity("epochs", 1, eta**power - 1, eta)) == power - 1


def test_a_larger_minimum_and_no_power() -> None:
    assert table(4, 100, 3) == [[(9, 11), (3, 33), (1, 100)], [(5, 33), (1, 100)], [(3, 100)]]
    assert table(5, 5, 3) == [[(1, 5)]]


@given(st.integers(1, 50), st.integers(0, 5000), st.integers(2, 10))
def test_every_table_is_sound(minimum: int, more: int, eta: int) -> None:
    fidelity = Fidelity("epochs", minimum, minimum + more, eta)
    brackets = hyperband_brackets(fidelity)
    assert [b.s for b in brackets] == list(range(largest_s(fidelity), -1, -1))
    for bracket in brackets:
        assert len(bracket.rungs) == bracket.s + 1
        assert bracket.rungs[0].resource >= minimum
        assert bracket.rungs[-1].resource == fidelity.maximum
        assert bracket.rungs[-1].width >= 1
        for low, high in zip(bracket.rungs, bracket.rungs[1:], strict=False):
            assert low.resource < high.resource
            assert high.width == low.width // eta
        narrow = bracket.narrowed(1, eta)
        assert [rung.width for rung in narrow.rungs] == [1] * len(bracket.rungs)
        assert bracket.narrowed(bracket.width, eta) == bracket


@pytest.mark.parametrize(
    "fidelity, field",
    [((0, 9, 3), "fidelity.min"), ((9, 3, 3), "fidelity.max"), ((1, 9, 1), "fidelity.eta")],
)
def test_unsound_fidelities_are_refused(fidelity: tuple[int, int, int], field: str) -> None:
    with pytest.raises(StudyError) as caught:
        Fidelity("epochs", *fidelity)
    assert caught.value.field == field
