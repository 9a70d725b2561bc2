"""Finite spaces by number: the same configurations as one by one, in the same order, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.studies import BRANIN, TINY
from hpo_engine.enumeration import Enumeration
from hpo_engine.space import (
    CategoricalParameter,
    Condition,
    FloatParameter,
    IntParameter,
    OrdinalParameter,
    Parameter,
    Space,
)


@st.composite
def finite_spaces(draw: st.DrawFn) -> Space:
    """Forests of up to five discrete parameters, each under a condition on an earlier one or on none."""
    parameters: list[Parameter] = []
    for i in range(draw(st.integers(1, 5))):
        condition = None
        if parameters and draw(st.booleans()):
            condition = draw(conditions(draw(st.sampled_from(parameters))))
        parameters.append(draw(discrete(f"p{i}", condition)))
    return Space(tuple(draw(st.permutations(parameters))))


@st.composite
def conditions(draw: st.DrawFn, parent: Parameter) -> Condition:
    if isinstance(parent, CategoricalParameter):
        return Condition(parent.name, tuple(draw(st.sets(st.sampled_from(parent.choices), min_size=1))))
    assert parent.cells is not None  # all of them are discrete
    cells = sorted(draw(st.lists(st.integers(0, parent.cells - 1), min_size=2, max_size=2)))
    low, high = (float(parent.value(cell)) for cell in cells)
    return Condition(parent.name, low=low, high=draw(st.sampled_from([high, None])))


@st.composite
def discrete(draw: st.DrawFn, name: str, condition: Condition | None) -> Parameter:
    match draw(st.integers(0, 3)):
        case 0:
            return CategoricalParameter(name, tuple("abc"[: draw(st.integers(2, 3))]), condition)
        case 1:
            return OrdinalParameter(name, (0.5, 2, 7)[: draw(st.integers(2, 3))], condition)
        case 2:
            return FloatParameter(name, -1.0, 1.0, step=draw(st.sampled_from([0.4, 0.5, 1.0])), condition=condition)
        case _:
            low = draw(st.integers(1, 3))
            return IntParameter(name, low, low + draw(st.integers(1, 3)), draw(st.booleans()), condition=condition)


@given(finite_spaces(), st.integers(1, 50))
@settings(max_examples=200, deadline=None)
def test_blocks_are_the_list_of_configurations(space: Space, block: int) -> None:
    expected = list(space.configurations())
    enumeration = Enumeration(space)
    assert enumeration.size == len(expected)
    firsts, blocks = zip(*enumeration.blocks(block), strict=True)
    assert [len(b) for b in blocks[:-1]] == [block] * (len(blocks) - 1)
    assert firsts == tuple(range(0, len(expected), block))
    points = np.vstack(blocks)
    assert np.array_equal(points, [space.encode(p) for p in expected], equal_nan=True)


@given(finite_spaces())
@settings(max_examples=100, deadline=None)
def test_numbers_and_configurations_are_inverse(space: Space) -> None:
    enumeration = Enumeration(space)
    for k, parameters in enumerate(space.configurations()):
        assert enumeration.configuration(k) == parameters
        assert enumeration.number(parameters) == k
    keys = [space.key(parameters) for parameters in space.configurations()]
    assert enumeration.numbers_of_keys(keys[::-2]).tolist() == sorted(range(len(keys))[::-2])


def test_a_space_too_large_to_list_is_numbered_all_the_same() -> None:
    space = Space(tuple(IntParameter(f"p{i}", 1, 10**6, log=i == 0) for i in range(3)))
    enumeration = Enumeration(space)
    assert enumeration.size == 10**18
    assert enumeration.configuration(123456_000000_000041) == {"p0": 123457, "p1": 1, "p2": 42}
    assert enumeration.number({"p0": 10**6, "p1": 10**6, "p2": 10**6}) == 10**18 - 1


def test_no_such_number() -> None:
    enumeration = Enumeration(TINY)
    with pytest.raises(IndexError, match="expected a number from 0 to 7, found 8"):
        enumeration.configuration(8)
    with pytest.raises(IndexError, match="found -1"):
        enumeration.configuration(-1)


def test_a_continuum_has_no_numbers() -> None:
    with pytest.raises(ValueError, match="expected a finite space"):
        Enumeration(BRANIN)


def test_more_than_64_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a finite space of at most"):
        Enumeration(Space(tuple(IntParameter(f"p{i}", 0, 10**7) for i in range(3))))
