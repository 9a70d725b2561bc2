"""Slices through functions whose shape is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engine.analysis.test_importance import history, study_of
from hpo_engine.analysis.belief import Belief, believe
from hpo_engine.analysis.slices import axis, best_value, marginal_slices, slices_at_best
from hpo_engine.space import CategoricalParameter, Condition, FloatParameter, IntParameter, Space
from hpo_engine.trial import Measurement, Parameters

PLANE = Space((FloatParameter("a", 0.0, 1.0), FloatParameter("b", 0.0, 1.0)))
NESTED = Space(
    (
        CategoricalParameter("optimizer", ("SGD", "Adam")),
        FloatParameter("momentum", 0.0, 1.0, condition=Condition("optimizer", ("SGD",))),
        IntParameter("depth", 1, 3),
    )
)


def bowl(p: Parameters) -> float:
    return (float(p["a"]) - 0.3) ** 2 + 2 * (float(p["b"]) - 0.6) ** 2


def nested(p: Parameters) -> float:
    return float(p["depth"]) + (2 + float(p["momentum"]) if p["optimizer"] == "SGD" else 0.0)


def belief_of(space: Space, loss: Callable[[Parameters], float], trials: int) -> Belief:
    found = believe(study_of(space), history(space, loss, trials))
    assert found is not None
    return found


def test_through_the_best_configuration_of_a_bowl() -> None:
    """At the best, b = b*: the slice along a is (a - 0.3)² plus what b* still lacks."""
    belief = belief_of(PLANE, bowl, 40)
    found = slices_at_best(belief)["a"]
    at = PLANE.decode(belief.best)
    expected = [bowl(at | {"a": float(value)}) for value in found.values]
    assert found.middle == pytest.approx(expected, abs=0.02)
    assert best_value(found, maximize=False) == pytest.approx(0.3, abs=0.05)
    assert best_value(found, maximize=True) == 1.0


def test_over_the_whole_space_of_a_bowl() -> None:
    """The average of 2 (b - 0.6)² over b is 2/3 (0.6³ + 0.4³) = 0.187, up to the transform of the outputs."""
    found = marginal_slices(belief_of(PLANE, bowl, 40))["a"]
    expected = [(float(value) - 0.3) ** 2 + 0.187 for value in found.values]
    assert found.middle == pytest.approx(expected, abs=0.06)


def test_doubt_is_large_where_nothing_was_measured() -> None:
    trials = [t for t in history(PLANE, bowl, 60) if float(t.parameters["a"]) < 0.5]
    belief = believe(study_of(PLANE), trials)
    assert belief is not None
    found = slices_at_best(belief)["a"]
    width = found.high - found.low
    assert width[-1] > 5 * width[0]
    assert np.all(found.low <= found.middle) and np.all(found.middle <= found.high)


def test_a_parameter_that_the_best_does_not_have() -> None:
    belief = belief_of(NESTED, nested, 40)
    at_best, marginal = slices_at_best(belief), marginal_slices(belief)
    assert NESTED.decode(belief.best) == {"optimizer": "Adam", "depth": 1}
    assert list(at_best) == ["optimizer", "depth"]
    assert list(marginal) == ["optimizer", "momentum", "depth"]
    assert at_best["depth"].middle == pytest.approx([1, 2, 3], abs=0.1)
    assert at_best["optimizer"].middle == pytest.approx([3.5, 1], abs=0.2)
    assert marginal["momentum"].middle[[0, -1]] == pytest.approx([4, 5], abs=0.3)


def test_a_maximised_objective_is_mirrored() -> None:
    trials = history(PLANE, bowl, 30)
    mirrored = [replace(t, measurements=(Measurement(0, -t.measurements[0].value),)) for t in trials]
    plain, other = believe(study_of(PLANE), trials), believe(study_of(PLANE, maximize=True), mirrored)
    assert plain is not None and other is not None
    for one, two in zip(slices_at_best(plain).values(), slices_at_best(other).values(), strict=True):
        assert two.middle == pytest.approx(-one.middle)
        assert two.low == pytest.approx(-one.high)


def test_axes() -> None:
    assert axis(IntParameter("depth", 2, 4))[1] == (2, 3, 4)
    assert len(axis(FloatParameter("x", 0, 1))[1]) == 17
    many = axis(IntParameter("channels", 8, 512, log=True))[1]
    assert many[0] == 8 and many[-1] == 512 and len(many) == 17
    assert len(axis(CategoricalParameter("name", tuple(f"n{i}" for i in range(30))))[1]) == 30


def test_too_little_to_believe() -> None:
    assert believe(study_of(PLANE), history(PLANE, bowl, 1)) is None
