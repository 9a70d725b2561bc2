"""Importances of functions whose variance is known to split in a certain way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import pi, sin

import numpy as np
import pytest

from hpo_engine.analysis.importance import importances
from hpo_engine.samplers.sobol import sobol_point
from hpo_engine.space import CategoricalParameter, Condition, FloatParameter, Space
from hpo_engine.study import Fidelity, Objective, Study
from hpo_engine.trial import Measurement, Parameters, Trial, TrialState

CUBE = Space(tuple(FloatParameter(name, 0.0, 1.0) for name in "abc"))
CLOSE = 0.02


def history(space: Space, loss: Callable[[Parameters], float], trials: int, resource: int = 0) -> list[Trial]:
    points = (space.decode(sobol_point(space.dimension, 0, i)) for i in range(trials))
    return [
        Trial(i, p, TrialState.REPORTED, resource=resource, measurements=(Measurement(resource, loss(p)),))
        for i, p in enumerate(points)
    ]


def study_of(space: Space, maximize: bool = False) -> Study:
    return Study(space, Objective("loss", maximize), trials=300)


def number(p: Parameters, name: str) -> float:
    return float(p[name])


def test_sum_of_single_effects() -> None:
    """3a + b + 0c has variances 9/12, 1/12, 0: shares 0.9, 0.1, 0, and no interactions."""
    found = importances(study_of(CUBE), history(CUBE, lambda p: 3 * number(p, "a") + number(p, "b"), 40))
    assert found is not None
    assert [e.main for e in found.effects.values()] == pytest.approx([0.9, 0.1, 0.0], abs=CLOSE)
    assert [e.total for e in found.effects.values()] == pytest.approx([0.9, 0.1, 0.0], abs=CLOSE)
    assert max(found.pairs.values()) < CLOSE
    assert found.explained > 0.99


def test_pure_interaction() -> None:
    """(a - 1/2)(b - 1/2) depends on neither alone, and on the pair altogether."""
    found = importances(study_of(CUBE), history(CUBE, lambda p: (number(p, "a") - 0.5) * (number(p, "b") - 0.5), 40))
    assert found is not None
    assert [e.main for e in found.effects.values()] == pytest.approx([0, 0, 0], abs=CLOSE)
    assert [e.total for e in found.effects.values()] == pytest.approx([1, 1, 0], abs=CLOSE)
    assert next(iter(found.pairs)) == ("a", "b")
    assert found.pairs["a", "b"] == pytest.approx(1, abs=CLOSE)


def test_ishigami() -> None:
    """Sobol' indices of the Ishigami function with a = 7, b = 0.1: 0.314, 0.442, 0; totals 0.558, 0.442, 0.244."""
    space = Space(tuple(FloatParameter(name, -pi, pi) for name in "abc"))

    def ishigami(p: Parameters) -> float:
        a, b, c = (number(p, name) for name in "abc")
        return sin(a) + 7 * sin(b) ** 2 + 0.1 * c**4 * sin(a)

    found = importances(study_of(space), history(space, ishigami, 200))
    assert found is not None
    assert [e.main for e in found.effects.values()] == pytest.approx([0.314, 0.442, 0.0], abs=0.04)
    assert [e.total for e in found.effects.values()] == pytest.approx([0.558, 0.442, 0.244], abs=0.06)
    assert next(iter(found.pairs)) == ("a", "c")


def test_conditional_parameter_matters_where_it_is_active() -> None:
    """4m with SGD, else 2: variance 2/3, of which m alone 1/3 (E[f|m] = 2m + 1), the choice alone 0, the pair 1/3."""
    space = Space(
        (
            CategoricalParameter("optimizer", ("SGD", "Adam")),
            FloatParameter("momentum", 0.0, 1.0, condition=Condition("optimizer", ("SGD",))),
            FloatParameter("other", 0.0, 1.0),
        )
    )
    found = importances(
        study_of(space), history(space, lambda p: 4 * number(p, "momentum") if "momentum" in p else 2.0, 60)
    )
    assert found is not None
    assert [e.main for e in found.effects.values()] == pytest.approx([0, 0.5, 0], abs=CLOSE)
    assert [e.total for e in found.effects.values()] == pytest.approx([0.5, 1, 0], abs=CLOSE)
    assert found.pairs["optimizer", "momentum"] == pytest.approx(0.5, abs=CLOSE)


def test_log_scale_is_the_scale_of_the_search() -> None:
    """log10(lr) over four decades and x over [0, 4]: the same spread, the same share."""
    space = Space((FloatParameter("lr", 1e-5, 1e-1, log=True), FloatParameter("x", 0.0, 4.0)))
    found = importances(
        study_of(space), history(space, lambda p: float(np.log10(number(p, "lr"))) + number(p, "x"), 30)
    )
    assert found is not None
    assert [e.main for e in found.effects.values()] == pytest.approx([0.5, 0.5], abs=CLOSE)


def test_noise_is_admitted() -> None:
    """Of values that depend on nothing nothing is explained, whatever shares the surrogate dreams up."""
    generator = np.random.default_rng(0)
    found = importances(study_of(CUBE), history(CUBE, lambda p: float(generator.standard_normal()), 60))
    assert found is None or found.explained < 0.2


def test_same_whatever_the_order_or_the_direction() -> None:
    trials = history(CUBE, lambda p: 3 * number(p, "a") + number(p, "b") ** 2, 25)
    expected = importances(study_of(CUBE), trials)
    assert importances(study_of(CUBE), trials[::-1]) == expected
    mirrored = [replace(t, measurements=(Measurement(0, -t.measurements[0].value),)) for t in trials]
    assert importances(study_of(CUBE, maximize=True), mirrored) == expected


def test_measurements_at_the_models_resource_alone_count() -> None:
    """Two trials went on to 9 epochs, too few for a model: the one of 1 epoch is taken."""
    study = replace(study_of(CUBE), fidelity=Fidelity("epochs", 1, 9), scheduler="Hyperband")
    trials = history(CUBE, lambda p: number(p, "a"), 20, resource=1)
    longer = [replace(t, measurements=(*t.measurements, Measurement(9, -50.0))) for t in trials[:2]]
    found = importances(study, [*longer, *trials[2:]])
    assert found is not None
    assert (found.resource, found.trials) == (1, 20)
    assert found.effects["a"].main == pytest.approx(1, abs=CLOSE)


def test_nothing_to_tell() -> None:
    assert importances(study_of(CUBE), []) is None
    assert importances(study_of(CUBE), history(CUBE, lambda p: 0.5, 20)) is None
    failed = [replace(t, state=TrialState.FAILED, measurements=()) for t in history(CUBE, lambda p: 0.0, 20)]
    assert importances(study_of(CUBE), failed) is None
