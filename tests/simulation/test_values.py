"""Draws of curves: what was measured stays measured, and draws are of the model that they are said to be of."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_engine.surrogate.paths import Path
from hpo_engine.trial import Measurement, Trial, TrialState
from hpo_operator.api.engine_study import engine_study
from hpo_operator.api.parse import parse_study
from hpo_operator.simulation.values import learnt_curves, unknown_curves
from reconcile.objects import study

STUDY = engine_study(
    parse_study(study(fidelity={"resource": "epochs", "min": 1, "max": 9, "eta": 3}, budget={"trials": 9})).spec
)


def measured(n: int) -> list[Trial]:
    """Trials of which the deeper are better (the objective is maximised), all a little more so after three epochs."""
    found = []
    for i in range(n):
        parameters = {"learningRate": 1e-3 * (1 + i), "depth": 2 + i % 3}
        value = 0.5 + 0.1 * (i % 3) + 0.01 * i
        told = (Measurement(1, value), Measurement(3, value + 0.1))
        found.append(Trial(i, parameters, TrialState.REPORTED, 1, 3, told))
    return found


def test_a_path_is_a_draw_of_the_joint_distribution() -> None:
    """Covariances of many draws at two points, after a third that is told."""
    K = np.array([[1.0, 0.8, 0.3], [0.8, 1.2, 0.5], [0.3, 0.5, 1.0]])
    draws = []
    for seed in range(4000):
        path = Path(np.random.default_rng(seed))
        path.told(np.zeros(0), K[0, 0], 2.0)
        draws.append([path.drawn(K[:1, 1], K[1, 1]), 0.0])
        draws[-1][1] = path.drawn(K[:2, 2], K[2, 2])
    drawn, gain = np.array(draws), K[1:, 0] / K[0, 0]
    assert drawn.mean(axis=0) == pytest.approx(2.0 * gain, abs=0.05)
    assert np.cov(drawn.T) == pytest.approx(K[1:, 1:] - np.outer(gain, K[0, 1:]), abs=0.06)


def test_a_path_grows_beyond_its_first_room() -> None:
    path = Path(np.random.default_rng(0))
    for n in range(100):
        path.told(np.full(n, 0.5), 1.0, float(n))
    assert len(path) == 100


def test_what_the_pilot_measured_is_measured_again() -> None:
    trials = measured(9)
    landscape = learnt_curves(STUDY, STUDY, trials).drawn(np.random.default_rng(0))
    for resource in (1, 3):
        losses = [landscape.loss(trial.index + 40, trial.parameters, resource) for trial in trials]
        values = [trial.value_at(resource) or 0.0 for trial in trials]
        assert np.argsort(losses).tolist() == np.argsort(-np.array(values)).tolist()


def test_others_do_as_their_like_have_done() -> None:
    curves = learnt_curves(STUDY, STUDY, measured(9))
    drawn = [curves.drawn(np.random.default_rng(seed)) for seed in range(30)]
    deep, flat = ({"learningRate": 4.2e-3, "depth": depth} for depth in (4, 2))
    assert np.mean([one.loss(0, deep, 1) < one.loss(1, flat, 1) for one in drawn]) > 0.8


def test_a_draw_keeps_to_what_it_said() -> None:
    landscape = unknown_curves(STUDY).drawn(np.random.default_rng(3))
    parameters = {"learningRate": 1e-2, "depth": 3}
    first = landscape.loss(0, parameters, 1)
    landscape.loss(0, parameters, 9)
    assert landscape.loss(0, dict(parameters), 1) == first


def test_configurations_that_the_study_does_not_have_teach_it_nothing() -> None:
    stranger = Trial(0, {"learningRate": 7.0, "depth": 3}, TrialState.REPORTED, 0, 1, (Measurement(1, 0.5),))
    assert len(learnt_curves(STUDY, STUDY, [stranger]).data.y) == 0
