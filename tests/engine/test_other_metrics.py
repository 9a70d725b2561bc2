"""Constraints, two objectives, beliefs and costs: what else a suggestion takes into account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from engine.studies import BRANIN, HARTMANN6, branin, make_study
from hpo_engine.acquisition.beliefs import Beliefs
from hpo_engine.acquisition.hypervolume import LogEHVI
from hpo_engine.analysis.pareto import Goal, hypervolume
from hpo_engine.errors import StudyError
from hpo_engine.incumbent import incumbent
from hpo_engine.parameters import FloatArray
from hpo_engine.planner import plan
from hpo_engine.prior_knowledge import Belief
from hpo_engine.samplers.other_metrics import undominated
from hpo_engine.study import Constraint, Objective, SamplerSettings, Study
from hpo_engine.surrogate.kernels import Kernel, metrics
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Measurement, Parameters, Trial, TrialState

Measured = Callable[[Parameters], tuple[float, Mapping[str, float]]]


def run(study: Study, measure: Measured, seconds: Callable[[Parameters], float] | None = None) -> list[Trial]:
    """All trials of the study, three at a time."""
    trials: list[Trial] = []
    while step := plan(study, trials, 3).start:
        for s in step:
            value, others = measure(s.parameters)
            took = None if seconds is None else seconds(s.parameters)
            measured = (Measurement(0, value, seconds=took, metrics=others),)
            trials.append(Trial(s.index, s.parameters, TrialState.REPORTED, measurements=measured))
    return trials


def hill(p: Parameters) -> float:
    """Of two variables, growing to the right."""
    return float(p["x"]) + 0.3 * float(p["y"])


def constrained(p: Parameters) -> tuple[float, Mapping[str, float]]:
    return branin(p), {"seconds": hill(p)}


def test_the_constraint_is_kept_and_the_incumbent_is_the_best_that_keeps_it() -> None:
    """Of Branin's three minima only the one at (-π, 12.275) has seconds of at most 1."""
    losses, kept = [], []
    for seed in range(5):
        study = replace(make_study(BRANIN, trials=24, seed=seed), constraints=(Constraint("seconds", maximum=1.0),))
        trials = run(study, constrained)
        best = incumbent(study, trials)
        assert best is not None
        assert hill(best.parameters) <= 1.0
        losses.append(best.latest.value)
        kept.append(np.mean([hill(t.parameters) <= 1.0 for t in trials[8:]]))
    assert median(losses) < 0.6
    assert median(kept) > 0.6


def test_no_trial_that_breaks_a_constraint_is_the_incumbent() -> None:
    study = replace(make_study(BRANIN), constraints=(Constraint("dice", minimum=0.8),))
    values: list[tuple[float, Mapping[str, float]]] = [(0.1, {"dice": 0.7}), (0.2, {}), (0.4, {"dice": 0.8})]
    trials = [
        Trial(i, {"x": float(i), "y": 0.0}, TrialState.REPORTED, measurements=(Measurement(0, v, metrics=m),))
        for i, (v, m) in enumerate(values)
    ]
    assert incumbent(study, trials) == trials[2]
    assert incumbent(study, trials[:2]) is None


def beliefs_of(seed: int) -> Posterior:
    X = np.random.default_rng(seed).random((9, 6))
    kernel = Kernel("Matern52", metrics(HARTMANN6), np.full(6, 0.7), 1.0)
    return Posterior.of(kernel, 0.0, 1e-3, X, np.random.default_rng(seed + 1).normal(size=9))[0]


def improvement(y: FloatArray, front: FloatArray, reference: tuple[float, float]) -> float:
    """Of the dominated area, counted by the analysis module."""
    goals = (Goal("a", False), Goal("b", False))
    before = {i: {"a": a, "b": b} for i, (a, b) in enumerate(front.tolist())}
    after = {**before, len(front): {"a": y[0], "b": y[1]}}
    return hypervolume(after, goals, reference) - hypervolume(before, goals, reference)


@pytest.mark.parametrize("m", [0, 1, 4])
def test_expected_hypervolume_improvement_is_the_mean_of_sampled_ones(m: int) -> None:
    front = undominated(np.random.default_rng(m).normal(size=(m * 3, 2)))[:m]
    one, two, reference = beliefs_of(0), beliefs_of(5), (2.5, 2.0)
    point = np.random.default_rng(3).random((1, 6))
    (a, sd_a), (b, sd_b) = one.predict(point), two.predict(point)
    draws = np.random.default_rng(4).normal(size=(20_000, 2)) * [sd_a[0], sd_b[0]] + [a[0], b[0]]
    sampled = np.mean([improvement(y, front, reference) for y in draws])
    assert np.exp(LogEHVI(one, two, front, reference)(point)[0]) == pytest.approx(sampled, rel=0.05)


def test_slopes_of_the_expected_hypervolume_improvement_are_finite_differences() -> None:
    front = np.array([[-1.0, 1.0], [-0.2, 0.1], [0.8, -0.7]])
    function = LogEHVI(beliefs_of(0), beliefs_of(5), front, (1.5, 1.5))
    points = np.random.default_rng(7).uniform(0.1, 0.9, (5, 6))
    values, slopes = function.slopes(points)
    assert np.allclose(values, function(points), atol=1e-9)
    for point, slope in zip(points, slopes, strict=True):
        numeric = approx_fprime(point, lambda u: function(u[None, :])[0], 1e-6)
        assert slope == pytest.approx(numeric, abs=1e-3, rel=1e-3)
    far = LogEHVI(beliefs_of(0), beliefs_of(5), front - 40.0, (-39.0, -39.0))
    assert np.all(np.isfinite(far(points)))


def two_bowls(p: Parameters) -> tuple[float, Mapping[str, float]]:
    x, y = float(p["x"]) / 15 + 1 / 3, float(p["y"]) / 15
    return (x - 0.2) ** 2 + (y - 0.3) ** 2, {"cost": (x - 0.8) ** 2 + (y - 0.6) ** 2}


def test_two_objectives_dominate_more_than_random_search_does() -> None:
    def area(sampler: SamplerSettings, seed: int) -> float:
        study = replace(make_study(BRANIN, trials=21, seed=seed), sampler=sampler, second=Objective("cost", False))
        measured = {t.index: {"loss": t.latest.value, **t.latest.metrics} for t in run(study, two_bowls)}
        return hypervolume(measured, (Goal("loss", False), Goal("cost", False)), (0.45, 0.45))

    pairs = [(area(SamplerSettings("GP"), seed), area(SamplerSettings("Random"), seed)) for seed in range(4)]
    assert all(ours > chance for ours, chance in pairs)


def test_two_objectives_and_a_scheduler_are_refused() -> None:
    study = make_study(BRANIN, "GP", "Hyperband")
    with pytest.raises(StudyError, match="expected None with two objectives"):
        replace(study, second=Objective("cost", False))


def test_a_right_belief_helps_and_a_wrong_one_is_forgotten() -> None:
    def best(beliefs: tuple[Belief, ...], trials: int, seed: int) -> float:
        study = replace(make_study(BRANIN, trials=trials, seed=seed), beliefs=beliefs)
        return min(t.latest.value for t in run(study, constrained))

    right, wrong = (Belief("x", 3.14, 0.05), Belief("y", 2.3, 0.05)), (Belief("x", -5.0, 0.1), Belief("y", 0.0, 0.1))
    assert median(best(right, 6, seed) for seed in range(5)) < median(best((), 6, seed) for seed in range(5))
    assert median(best(wrong, 30, seed) for seed in range(3)) < 0.6


def test_beliefs_have_their_slopes_and_move_points_as_they_say() -> None:
    function = Beliefs(BRANIN, (Belief("x", 4.0, 0.1),))
    points = np.random.default_rng(0).random((4, 2))
    for point, slope in zip(points, function.slopes(points)[1], strict=True):
        assert slope == pytest.approx(approx_fprime(point, lambda u: function(u[None, :])[0], 1e-7), abs=1e-4)
    placed = np.array([function.placed(u) for u in np.random.default_rng(1).random((2000, 2))])
    assert np.mean(placed[:, 0]) == pytest.approx(0.6, abs=0.01)
    assert np.std(placed[:, 0]) == pytest.approx(0.1, abs=0.01)
    assert np.mean(placed[:, 1]) == pytest.approx(0.5, abs=0.02)


def test_cost_aware_search_spends_less_for_the_same() -> None:
    """Two of Branin's minima are ten times as dear as the third; nobody loses by leaving them out."""

    def seconds(p: Parameters) -> float:
        return 100.0 if float(p["x"]) > 0 else 10.0

    spent = []
    for cost_aware in (True, False):
        study = make_study(BRANIN, trials=21, seed=1)
        study = replace(study, sampler=SamplerSettings(cost_aware=cost_aware))
        trials = run(study, constrained, seconds)
        spent.append(sum(m.seconds or 0.0 for t in trials for m in t.measurements))
        assert min(t.latest.value for t in trials) < 1.0
    assert spent[0] < 0.8 * spent[1]
