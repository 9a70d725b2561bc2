"""The thesis' Hyperband + Bayesian optimisation as described: its accounting, and the fault that it is known for."""

from __future__ import annotations

import numpy as np
import pytest
from documents.as_described import (
    Group,
    Seen,
    as_described,
    effective_share,
    improvement_distribution,
    liar,
    synchronous,
    uniform,
)

from engine.studies import BRANIN, branin, learning_curve
from hpo_engine.fidelity.brackets import hyperband_brackets
from hpo_engine.study import Fidelity
from hpo_engine.surrogate.kernels import Kernel, Metric
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Parameters

BRACKETS = hyperband_brackets(Fidelity("epochs", 1, 27, 3))


def seen_at(places: list[tuple[float, float]], losses: list[float]) -> Seen:
    seen = Seen()
    for place, loss in zip(places, losses, strict=True):
        seen.add(np.array(place), 1, loss)
    return seen


def test_promoted_models_are_resumed() -> None:
    """R = 27, eta = 3: 357 units for one iteration, each unit of each model trained once, as deep as its rungs."""
    asked: list[tuple[str, int]] = []

    def loss(parameters: Parameters, resource: int) -> float:
        asked.append((BRANIN.key(parameters), resource))
        return learning_curve(branin)(parameters, resource)

    log = synchronous(BRANIN, BRACKETS, uniform, loss, np.random.default_rng(0))
    assert [spent for spent, _ in log] == list(range(1, 358))
    assert sum(1 for _, resource in set(asked) if resource == 27) == 1 + 1 + 2 + 4
    assert sum(1 for _, resource in set(asked) if resource == 1) == 49


def test_the_best_go_on() -> None:
    """Of the first bracket's 27 models the one that ends with 27 units has the lowest loss of all."""
    log = synchronous(BRANIN, BRACKETS[:1], uniform, learning_curve(branin), np.random.default_rng(1))
    first = [loss for _, loss in log[:27]]
    assert log[-1][1] == pytest.approx(min(first) - 3.0 + 3.0 / 27)


def test_ei_is_normalised() -> None:
    kernel = Kernel("SquaredExponential", (Metric.LINEAR,), np.array([0.2]), 1.0)
    posterior, _ = Posterior.of(kernel, 0.0, 1e-6, np.array([[0.0], [1.0]]), np.array([-1.0, 1.0]))
    chance = improvement_distribution(posterior, np.linspace(0, 1, 11)[:, None], -1.0)
    assert chance.sum() == pytest.approx(1)
    assert np.argmax(chance) < 5
    assert effective_share(np.full(10, 0.1)) == pytest.approx(1)
    assert effective_share(np.eye(10)[3]) == pytest.approx(0.1)


def test_the_liar_spreads_its_group_and_the_draw_does_not_repeat() -> None:
    generator = np.random.default_rng(0)
    places = [(float(x), float(y)) for x, y in generator.random((20, 2))]
    seen = seen_at(places, [(x - 0.3) ** 2 + (y - 0.7) ** 2 for x, y in places])
    for choose in (as_described, liar):
        chosen = choose(Group(BRANIN, seen, 9, 1, 27), np.random.default_rng(1))
        assert len({BRANIN.key(parameters) for parameters in chosen}) == 9
    points = np.array([BRANIN.encode(parameters) for parameters in chosen])
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(9, 1)]
    assert distances.min() > 0.01
    assert np.linalg.norm(points[0] - [0.3, 0.7]) < 0.2


def test_diverged_models_do_not_break_the_model() -> None:
    seen = seen_at([(0.1, 0.1), (0.5, 0.5), (0.9, 0.2)], [1.0, float("nan"), 0.5])
    assert len(as_described(Group(BRANIN, seen, 4, 1, 27), np.random.default_rng(0))) == 4
    assert len(as_described(Group(BRANIN, Seen(), 4, 1, 27), np.random.default_rng(0))) == 4
