"""Spaces: the unit-cube transform, conditions, counting, and every refusal with its path."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.studies import BRANIN, HARTMANN6, MIXED, TINY
from hpo_engine.errors import StudyError
from hpo_engine.space import (
    CategoricalParameter,
    Condition,
    FloatParameter,
    IntParameter,
    OrdinalParameter,
    Parameter,
    Space,
)
from hpo_engine.trial import Parameters

UNIT = st.floats(0.0, 1.0)


@st.composite
def float_parameters(draw: st.DrawFn) -> FloatParameter:
    log = draw(st.booleans())
    bound = st.floats(1e-12, 1e9) if log else st.floats(-1e9, 1e9)
    low = draw(bound)
    width = draw(st.floats(1e-6, 1e9))
    high = low + max(width, abs(low) * 1e-6)
    step = None if log or draw(st.booleans()) else (high - low) / draw(st.integers(1, 1000))
    return FloatParameter("p", low, high, log, step)


@st.composite
def int_parameters(draw: st.DrawFn) -> IntParameter:
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -(10**9), 10**9))
    high = low + draw(st.integers(1, 10**9))
    return IntParameter("p", low, high, log, draw(st.integers(1, min(high - low, 10**4))))


@st.composite
def ordinal_parameters(draw: st.DrawFn) -> OrdinalParameter:
    values = draw(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20, unique=True))
    return OrdinalParameter("p", tuple(sorted(values)))


@given(float_parameters() | int_parameters() | ordinal_parameters(), UNIT)
@settings(max_examples=400)
def test_one_parameter_survives_encoding(p: Parameter, u: float) -> None:
    value = p.decode(u)
    assert 0.0 <= p.encode(value) <= 1.0
    assert p.decode(p.encode(value)) == value
    Space((p,)).check({"p": value})


@given(st.sampled_from([MIXED, TINY, BRANIN]), st.data())
def test_a_configuration_survives_encoding(space: Space, data: st.DataObject) -> None:
    d = space.dimension
    u = np.array(data.draw(st.lists(UNIT, min_size=d, max_size=d)))
    parameters = space.decode(u)
    space.check(parameters)
    encoded = space.encode(parameters)
    assert space.decode(encoded) == parameters
    assert np.array_equal(space.encode(space.decode(encoded)), encoded, equal_nan=True)
    active = space.active(parameters)
    assert tuple(parameters) == active
    assert [not math.isnan(c) for c in encoded] == [p.name in active for p in space.parameters]


def test_snap_is_encode_of_decode() -> None:
    points = np.random.default_rng(0).random((500, MIXED.dimension))
    one_by_one = np.array([MIXED.encode(MIXED.decode(u)) for u in points])
    assert np.allclose(MIXED.snap(points), one_by_one, atol=1e-5, equal_nan=True)


def test_types_and_rounding() -> None:
    space = Space(
        (
            FloatParameter("f", 1e-5, 1e-1, log=True),
            FloatParameter("stepped", 0.1, 0.95, step=0.2),
            IntParameter("i", 1, 9, step=3),
            OrdinalParameter("o", (1, 2.5, 4.0)),
        )
    )
    for u in np.random.default_rng(1).random((200, 4)):
        p = space.decode(u)
        assert isinstance(p["f"], float)
        assert p["f"] == float(f"{p['f']:.6g}")
        assert p["stepped"] in (0.1, 0.3, 0.5, 0.7, 0.9)
        assert p["i"] in (1, 4, 7)
        assert type(p["i"]) is int
        assert repr(p["o"]) in ("1", "2.5", "4")


@pytest.mark.parametrize("low, high", [(1.0, 1000.0), (1e6, 1e6 + 1), (0.1, 0.3), (1e-9, 2e-9)])
def test_bounds_are_reachable_and_kept(low: float, high: float) -> None:
    for log in (False, True):
        p = FloatParameter("p", low, high, log)
        assert (p.decode(0.0), p.decode(1.0)) == (low, high)
        assert len({p.decode(u) for u in np.linspace(0, 1, 1000)}) > 950


def test_log_integers_have_even_shares_in_log_space() -> None:
    p = IntParameter("p", 1, 1024, log=True)
    values = np.array([p.decode(u) for u in np.linspace(0, 1, 10_001)])
    assert np.mean(values <= 32) == pytest.approx(0.55, abs=0.03)
    assert 0 < np.mean(values == 1) == pytest.approx(math.log(3) / math.log(2049), abs=0.01)


def test_equal_cells_have_equal_shares() -> None:
    for p in (IntParameter("p", 0, 9), FloatParameter("p", 0, 0.9, step=0.1), OrdinalParameter("p", tuple(range(10)))):
        counts = np.unique([p.decode(u) for u in (np.arange(1000) + 0.5) / 1000], return_counts=True)[1]
        assert counts.tolist() == [100] * 10


def test_children_of_an_inactive_parent_are_inactive() -> None:
    space = Space(
        (
            FloatParameter("c", 0, 1, condition=Condition("b", low=2)),
            IntParameter("b", 1, 3, condition=Condition("a", ("on",))),
            CategoricalParameter("a", ("on", "off")),
        )
    )
    assert space.active({"a": "on", "b": 2, "c": 0.5}) == ("c", "b", "a")
    assert space.active({"a": "on", "b": 1}) == ("b", "a")
    assert space.active({"a": "off", "b": 3, "c": 0.5}) == ("a",)
    assert space.decode(np.array([0.5, 0.9, 0.9])) == {"a": "off"}
    with pytest.raises(ValueError, match="b is active"):
        space.decode(np.array([0.5, np.nan, 0.1]))


@pytest.mark.parametrize("space", [TINY, Space((IntParameter("a", 0, 4), OrdinalParameter("b", (1, 2))))])
def test_size_counts_configurations(space: Space) -> None:
    listed = [space.key(c) for c in space.configurations()]
    assert len(set(listed)) == len(listed) == space.size()
    drawn = {space.key(space.decode(u)) for u in np.random.default_rng(0).random((2000, space.dimension))}
    assert drawn == set(listed)


def test_size_of_large_and_infinite_spaces() -> None:
    assert HARTMANN6.size() is None
    with pytest.raises(ValueError, match="continuous"):
        next(HARTMANN6.configurations())
    wide = IntParameter("n", 1, 2**40)
    child = CategoricalParameter("c", ("x", "y"), Condition("n", low=11, high=20))
    assert Space((wide, child)).size() == 2**40 + 10
    stepped = FloatParameter("s", 0.1, 0.9, step=0.1)
    assert Space((stepped, IntParameter("k", 1, 2, condition=Condition("s", high=0.3)))).size() == 6 + 3 * 2


def test_key_knows_no_order_and_no_number_type() -> None:
    assert BRANIN.key({"y": 1, "x": 2.0}) == BRANIN.key({"x": 2, "y": 1.0})
    assert BRANIN.key({"x": 1.0, "y": 2.0}) != BRANIN.key({"x": 2.0, "y": 1.0})
    assert TINY.key({"norm": "batch", "size": 1}) == TINY.key({"norm": "batch", "size": 1.0, "groups": 2})


X = FloatParameter("x", 0, 1)
A = CategoricalParameter("a", ("u", "v"))

REFUSALS: list[tuple[tuple[Parameter, ...], str, str]] = [
    ((), "parameters", "expected at least one parameter, found none"),
    ((X, X), "parameters[1].name", "expected a unique name, found 'x', as parameters[0]"),
    ((FloatParameter("x", 1, 1),), "parameters[0].float.min", "expected min < max, found min 1 and max 1"),
    ((FloatParameter("x", math.nan, 1),), "parameters[0].float.min", "expected a finite number, found nan"),
    ((FloatParameter("x", 0, math.inf),), "parameters[0].float.max", "expected a finite number, found inf"),
    ((FloatParameter("x", -1e308, 1e308),), "parameters[0].float", "expected max - min to be a finite number"),
    ((FloatParameter("x", 1e15, 1e15 + 1),), "parameters[0].float", "expected min and max further apart"),
    ((FloatParameter("x", 1e9, 1e9 + 1, step=1e-7),), "parameters[0].float.step", "expected a step that numbers near"),
    ((FloatParameter("x", 0, 1, log=True),), "parameters[0].float.min", "expected min > 0 with scale Log, found 0"),
    ((FloatParameter("x", 1, 2, True, 0.5),), "parameters[0].float.step", "expected no step with scale Log, found 0.5"),
    ((FloatParameter("x", 0, 1, step=0.0),), "parameters[0].float.step", "at most max - min = 1, found 0"),
    ((FloatParameter("x", 0, 1, step=2.0),), "parameters[0].float.step", "at most max - min = 1, found 2"),
    ((FloatParameter("x", 0, 1, step=math.nan),), "parameters[0].float.step", "found nan"),
    ((FloatParameter("x", 0, 1, step=1e-13),), "parameters[0].float", "take a larger step"),
    ((IntParameter("x", 5, 2),), "parameters[0].int.min", "expected min < max, found min 5 and max 2"),
    ((IntParameter("x", 0, 2, log=True),), "parameters[0].int.min", "expected min > 0 with scale Log, found 0"),
    ((IntParameter("x", 0, 2, step=-1),), "parameters[0].int.step", "expected a step above 0"),
    ((IntParameter("x", 0, 2**41),), "parameters[0].int", "take a larger step"),
    ((CategoricalParameter("x", ()),), "parameters[0].categorical.choices", "expected at least one choice, found none"),
    ((CategoricalParameter("x", ("a", "a")),), "parameters[0].categorical.choices", "found 'a' twice"),
    ((OrdinalParameter("x", ()),), "parameters[0].ordinal.values", "expected at least one value, found none"),
    ((OrdinalParameter("x", (1, 1)),), "parameters[0].ordinal.values", "found 1 twice"),
    ((OrdinalParameter("x", (2, 1)),), "parameters[0].ordinal.values", "expected ascending values, found 1 after 2"),
    ((OrdinalParameter("x", (1, math.inf)),), "parameters[0].ordinal.values", "expected finite numbers, found inf"),
    ((A, FloatParameter("y", 0, 1, condition=Condition("b", ("u",)))), "parameters[1].when.parameter", "found 'b'"),
    ((FloatParameter("y", 0, 1, condition=Condition("y", low=0)),), "parameters[0].when.parameter", "'y' itself"),
    ((A, FloatParameter("y", 0, 1, condition=Condition("a", ("w",)))), "parameters[1].when.in", "found 'w'"),
    ((A, FloatParameter("y", 0, 1, condition=Condition("a", ()))), "parameters[1].when.in", "found none"),
    ((A, FloatParameter("y", 0, 1, condition=Condition("a", low=1))), "parameters[1].when", "'a' is categorical"),
    ((A, FloatParameter("y", 0, 1, condition=Condition("a"))), "parameters[1].when", "found nothing"),
    ((X, FloatParameter("y", 0, 1, condition=Condition("x", ("0",)))), "parameters[1].when", "'x' is numeric"),
    (
        (X, FloatParameter("y", 0, 1, condition=Condition("x", low=2))),
        "parameters[1].when",
        "can reach, found 2 to inf",
    ),
    (
        (X, FloatParameter("y", 0, 1, condition=Condition("x", low=0.6, high=0.4))),
        "parameters[1].when.min",
        "min <= max",
    ),
    ((X, FloatParameter("y", 0, 1, condition=Condition("x", low=math.nan))), "parameters[1].when.min", "found NaN"),
    (
        (OrdinalParameter("o", (3, 5, 7)), FloatParameter("y", 0, 1, condition=Condition("o", low=5.5, high=6))),
        "parameters[1].when",
        "expected a range that 'o' (3 to 7) can reach, found 5.5 to 6",
    ),
    (
        (
            FloatParameter("p", 0, 1, condition=Condition("q", low=0.5)),
            FloatParameter("q", 0, 1, condition=Condition("r", low=0.5)),
            FloatParameter("r", 0, 1, condition=Condition("p", low=0.5)),
        ),
        "parameters[0].when.parameter",
        "expected no cycle of conditions, found p -> q -> r -> p",
    ),
]


@pytest.mark.parametrize("parameters, field, message", REFUSALS, ids=lambda v: v if isinstance(v, str) else "")
def test_unsound_spaces_are_refused(parameters: tuple[Parameter, ...], field: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        Space(parameters)
    assert caught.value.field == field
    assert message in caught.value.message


def test_a_cycle_above_a_sound_child_is_named_at_its_member() -> None:
    child = FloatParameter("child", 0, 1, condition=Condition("p", low=0.5))
    p = FloatParameter("p", 0, 1, condition=Condition("q", low=0.5))
    q = FloatParameter("q", 0, 1, condition=Condition("p", low=0.5))
    with pytest.raises(StudyError, match=r"parameters\[1\].*found p -> q -> p"):
        Space((child, p, q))


GOOD: Parameters = {"learningRate": 1e-3, "optimizer": "Adam", "channels": 16, "kernelSize": 5, "layers": 1}


@pytest.mark.parametrize(
    "change, field",
    [
        (lambda p: p | {"learningRate": 1.0}, "parameters.learningRate"),
        (lambda p: p | {"learningRate": math.nan}, "parameters.learningRate"),
        (lambda p: p | {"learningRate": "fast"}, "parameters.learningRate"),
        (lambda p: p | {"optimizer": "LBFGS"}, "parameters.optimizer"),
        (lambda p: p | {"channels": 16.5}, "parameters.channels"),
        (lambda p: p | {"channels": True}, "parameters.channels"),
        (lambda p: p | {"kernelSize": 4}, "parameters.kernelSize"),
        (lambda p: p | {"momentum": 0.9}, "parameters.momentum"),
        (lambda p: p | {"optimizer": "SGD"}, "parameters.momentum"),
        (lambda p: p | {"layers": 2, "dropout": 0.25}, "parameters.dropout"),
        (lambda p: p | {"depth": 2}, "parameters.depth"),
        (lambda p: {}, "parameters.learningRate"),
    ],
)
def test_strangers_to_the_space_are_refused(change: Callable[[Parameters], Parameters], field: str) -> None:
    MIXED.check(GOOD)
    with pytest.raises(StudyError) as caught:
        MIXED.check(change(dict(GOOD)))
    assert caught.value.field == field
