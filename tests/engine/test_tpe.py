"""The kernel density against sums and quadrature, and TPE's suggestions against random search."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest

from engine.studies import HARTMANN6, MIXED, TINY, Cluster, hartmann6, learning_curve, make_study
from hpo_engine.planner import plan
from hpo_engine.space import CategoricalParameter, Condition, FloatParameter, IntParameter, Space
from hpo_engine.study import SamplerName
from hpo_engine.surrogate.density import Density
from hpo_engine.trial import Measurement, Trial, TrialState

LATTICE = Space(
    (
        CategoricalParameter("optimizer", ("SGD", "Adam", "AdamW")),
        FloatParameter("momentum", 0.0, 0.9, step=0.3, condition=Condition("optimizer", ("SGD",))),
        IntParameter("channels", 2, 9, log=True),
        IntParameter("groups", 1, 2, condition=Condition("channels", low=5)),
    )
)


def density(space: Space, n: int, seed: int) -> Density:
    return Density(space, space.snap(np.random.default_rng(seed).random((n, space.dimension))))


def encodings(space: Space) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([space.encode(c) for c in space.configurations()])


@pytest.mark.parametrize("space", [TINY, LATTICE])
@pytest.mark.parametrize("n", [1, 4, 30])
def test_density_sums_to_one_over_a_conditional_space(space: Space, n: int) -> None:
    assert np.sum(np.exp(density(space, n, 3).log(encodings(space)))) == pytest.approx(1.0, abs=1e-9)


def test_density_integrates_to_one() -> None:
    space = Space((FloatParameter("x", 0.0, 1.0),))
    grid = (np.arange(20_000) + 0.5) / 20_000
    for n in (1, 2, 50):
        assert np.mean(np.exp(density(space, n, 1).log(grid[:, None]))) == pytest.approx(1.0, abs=1e-4)


def test_categories_follow_laplaces_rule_of_succession() -> None:
    space = Space((CategoricalParameter("c", ("a", "b", "c")),))
    seen = np.array([space.encode({"c": choice}) for choice in "aaabbaa"])
    assert np.exp(Density(space, seen).log(encodings(space))) == pytest.approx([6 / 10, 3 / 10, 1 / 10])


def test_draws_follow_the_density() -> None:
    """With a factor of 1 the share of every configuration is its mass, within five standard errors."""
    model, count = density(LATTICE, 6, 2), 10_000
    drawn = LATTICE.snap(model.draw(count, 1.0, np.random.default_rng(0)))
    keys, counts = np.unique([LATTICE.key(LATTICE.decode(u)) for u in drawn], return_counts=True)
    shares = dict(zip(keys.tolist(), counts / count, strict=True))
    for parameters in LATTICE.configurations():
        mass = float(np.exp(model.log(LATTICE.encode(parameters)[None, :])[0]))
        error = 5 * np.sqrt(mass * (1 - mass) / count) + 1 / count
        assert shares.get(LATTICE.key(parameters), 0.0) == pytest.approx(mass, abs=error)


def test_density_is_finite_far_from_all_centres() -> None:
    space = Space((FloatParameter("x", 0.0, 1.0), IntParameter("n", 0, 10**9)))
    centres = np.full((40, 2), 0.5)
    values = Density(space, centres).log(np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]))
    assert np.all(np.isfinite(values))
    assert values[2] > max(values[:2])


def test_tpe_beats_random_search() -> None:
    def best(sampler: SamplerName) -> float:
        studies = (make_study(HARTMANN6, sampler, trials=60, seed=seed) for seed in range(20))
        return median(Cluster(study, hartmann6, 4).run_in_waves().best() for study in studies)

    assert best("TPE") < best("Random")


def test_a_model_of_the_highest_resource_with_enough_trials() -> None:
    study = make_study(MIXED, "TPE", "Hyperband", trials=40)
    cluster = Cluster(study, learning_curve(lambda p, r: float(p["learningRate"])), 4).run()
    origins = [s.rationale.origin for p in cluster.plans for s in p.start]
    assert origins[:10] == ["Sobol"] * 10
    assert 0.4 < origins[12:].count("TPE") / len(origins[12:]) < 0.9


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.FAILED])
def test_trials_without_an_outcome_repel(state: TrialState) -> None:
    """Of two equal valleys, the one with trials all over it is left to them."""
    space = Space((FloatParameter("x", 0.0, 1.0),))
    study = make_study(space, "TPE", trials=400)

    def trial(index: int, x: float) -> Trial:
        return Trial(index, {"x": x}, TrialState.REPORTED, measurements=(Measurement(0, abs(abs(x - 0.5) - 0.3)),))

    measured = [trial(i, (i + 0.5) / 30) for i in range(30)]
    without = [Trial(100 + i, {"x": 0.1 + 0.002 * i}, state) for i in range(100)]

    def share_above_the_middle(trials: list[Trial]) -> float:
        starts = [s for s in plan(study, trials, 60).start if s.rationale.origin == "TPE"]
        return sum(float(s.parameters["x"]) > 0.5 for s in starts) / len(starts)

    assert share_above_the_middle(measured) < 0.65
    assert share_above_the_middle([*measured, *without]) > 0.8


def test_space_filling_suggestions_go_on() -> None:
    cluster = Cluster(make_study(MIXED, "TPE", trials=90), lambda p, r: float(p["learningRate"]), 30).run_in_waves()
    origins = [s.rationale.origin for p in cluster.plans for s in p.start][30:]
    assert 0.15 < origins.count("Sobol") / len(origins) < 0.5
    assert origins.count("TPE") + origins.count("Sobol") == len(origins)


def test_maximising_is_minimising_the_negative() -> None:
    low = Cluster(make_study(LATTICE, "TPE", trials=20), lambda p, r: float(p["channels"])).run()
    high = Cluster(make_study(LATTICE, "TPE", trials=20, maximize=True), lambda p, r: float(p["channels"])).run()
    assert [t.parameters for t in low.trials.values()] == [t.parameters for t in high.trials.values()]
