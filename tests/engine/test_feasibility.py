"""What could not be trained, learned: expectation propagation against sampling, the boundary, the suggestions."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import ndtr

from engine.studies import MIXED, make_study
from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray
from hpo_engine.planner import plan
from hpo_engine.samplers.base import History
from hpo_engine.samplers.experience import cost_model, feasibility_models, outcomes, seconds_per_unit
from hpo_engine.space import CategoricalParameter, FloatParameter, IntParameter, Space
from hpo_engine.surrogate.cost import fit_cost
from hpo_engine.surrogate.expectation_propagation import positive_sites
from hpo_engine.surrogate.feasibility import Feasibility, Outcomes, fit_feasibility
from hpo_engine.surrogate.trend import Features, TrendKernel
from hpo_engine.trial import Measurement, Parameters, Trial, TrialState

NETWORK = Space(
    (
        IntParameter("patch", 32, 160, step=16),
        IntParameter("batch", 1, 16),
        IntParameter("channels", 8, 64, log=True),
        FloatParameter("learningRate", 1e-5, 1e-1, log=True),
        CategoricalParameter("norm", ("batch", "instance")),
    )
)
LIMIT = 8e9


def use(p: Parameters) -> float:
    """Bytes: a product of powers, and what there is before the first layer."""
    return 1e9 + 50 * float(p["batch"]) * float(p["patch"]) ** 3 * float(p["channels"])


def drawn(count: int, seed: int) -> tuple[list[Parameters], FloatArray, FloatArray]:
    """Configurations, their encodings and uses."""
    chosen = [NETWORK.decode(u) for u in np.random.default_rng(seed).random((count, NETWORK.dimension))]
    return chosen, np.array([NETWORK.encode(p) for p in chosen]), np.array([use(p) for p in chosen])


def learned(count: int, seed: int, reported: bool) -> Feasibility:
    _, X, used = drawn(count, seed)
    bad = used > LIMIT
    assert bad.any()
    return fit_feasibility(
        Features(NETWORK), Outcomes(X[bad], X[~bad], used[~bad] if reported else np.full(sum(~bad), np.nan))
    )


def test_expectation_propagation_is_close_to_sampling() -> None:
    generator = np.random.default_rng(0)
    A, mean = generator.normal(size=(4, 4)), generator.normal(size=4)
    covariance = 3 * A @ A.T + 0.1 * np.eye(4)
    draws = generator.multivariate_normal(mean, covariance, size=400_000)
    weights = np.prod(ndtr(draws), axis=1)
    sites = positive_sites(mean, covariance)
    posterior = mean + covariance @ np.linalg.solve(covariance + np.diag(sites.noise), sites.value - mean)
    assert sites.log_evidence == pytest.approx(np.log(np.mean(weights)), abs=0.02)
    assert posterior == pytest.approx((weights @ draws) / np.sum(weights), abs=0.05)


def test_the_trend_is_a_covariance_that_rises_beyond_the_data() -> None:
    X = MIXED.snap(np.random.default_rng(0).random((40, MIXED.dimension)))
    kernel = TrendKernel(Features(MIXED), 1.0, 2.0, 0.3)
    K = kernel(X, X)
    assert np.allclose(np.diag(K), kernel.variances(X))
    assert np.min(np.linalg.eigvalsh(K)) > -1e-9
    line = np.linspace(0, 1, 11)[:, None]
    space = Space((FloatParameter("size", 1.0, 1000.0, log=True),))
    model = fit_cost(Features(space), line[:4], np.array([space.decode(u)["size"] for u in line[:4]], dtype=float) ** 2)
    assert model.predict(line[-1:])[0][0] == pytest.approx(2 * np.log(1000.0), abs=0.3)


@pytest.mark.parametrize("reported", [True, False])
def test_the_boundary_is_learned_from_a_dozen_trials(reported: bool) -> None:
    _, X, used = drawn(1000, 99)
    right, sure = [], []
    for seed in range(8):
        chance = np.exp(learned(12, seed, reported)(X))
        right.append(np.mean((chance > 0.5) == (used < LIMIT)))
        sure.append(np.mean(used[chance > 0.8] < LIMIT))
    assert np.mean(right) > (0.87 if reported else 0.77)
    assert np.mean(sure) > (0.9 if reported else 0.85)


def test_the_first_failure_is_avoided_at_once_and_the_larger_with_it() -> None:
    _, X, used = drawn(5, 3)
    order = np.argsort(used)
    model = fit_feasibility(Features(NETWORK), Outcomes(X[order[-1:]], X[order[:-1]], used[order[:-1]]))
    failed, tried = np.exp(model(X[order[-1:]]))[0], np.exp(model(X[order[:-1]]))
    assert failed < 0.15
    assert np.all(tried > 0.7)
    worse = X[order[-1:]].copy()
    worse[:, :3] = np.minimum(worse[:, :3] + 0.2, 0.99)
    assert np.exp(model(NETWORK.snap(worse)))[0] < 0.2


@pytest.mark.parametrize("reported", [True, False])
def test_slopes_are_finite_differences(reported: bool) -> None:
    space = Space((*(FloatParameter(f"x{i}", 1.0, 9.0) for i in range(3)), CategoricalParameter("c", ("a", "b"))))
    X = space.snap(np.random.default_rng(1).random((14, 4)))
    used = np.where(np.arange(9) < 5, np.exp(3 * X[5:, 0]), np.nan) if reported else np.full(9, np.nan)
    model = fit_feasibility(Features(space), Outcomes(X[:5], X[5:], used))
    points = space.snap(np.random.default_rng(2).uniform(0.05, 0.95, (6, 4)))
    values, slopes = model.slopes(points)
    assert np.allclose(values, model(points))
    for point, slope in zip(points, slopes, strict=True):
        numeric = approx_fprime(point[:3], lambda u, rest=point[3:]: model(np.append(u, rest)[None, :])[0], 1e-6)
        assert slope == pytest.approx([*numeric, 0.0], rel=2e-3, abs=2e-3)


def trial(index: int, parameters: Parameters, failure: str | None = None, memory: float | None = None) -> Trial:
    if failure is not None:
        return Trial(index, parameters, TrialState.FAILED, failure=failure)
    value = Measurement(0, float(index), seconds=10.0, memory=memory)
    return Trial(index, parameters, TrialState.REPORTED, measurements=(value,))


def test_each_reason_has_its_own_model_and_interruptions_none() -> None:
    chosen, _, _ = drawn(6, 0)
    reasons = ["OutOfMemory", "TooManyInterruptions", "Diverged", None, None, "BadData"]
    trials = [trial(i, p, reason, 1e9) for i, (p, reason) in enumerate(zip(chosen, reasons, strict=True))]
    lost = Trial(6, chosen[0], TrialState.REPORTED, measurements=(Measurement(0, np.nan),))
    study = make_study(NETWORK)
    seen = outcomes(study, History.of(study, [*trials, lost]))
    assert {reason: (len(o.failed), len(o.trained)) for reason, o in seen.items()} == {
        "Diverged": (2, 2),
        "OutOfMemory": (1, 2),
    }
    assert np.array_equal(seen["OutOfMemory"].used, [1e9, 1e9])
    assert np.all(np.isnan(seen["Diverged"].used))
    assert feasibility_models(study, History.of(study, trials[3:]), Memory()) == ()


def test_seconds_per_unit_come_from_the_rungs_that_were_timed() -> None:
    rungs = (Measurement(1, 0.5, seconds=4.0), Measurement(3, 0.4), Measurement(9, 0.3, seconds=32.0))
    assert seconds_per_unit(Trial(0, {}, TrialState.REPORTED, measurements=rungs)) == pytest.approx(4.0)
    assert seconds_per_unit(Trial(0, {}, TrialState.REPORTED, measurements=(Measurement(3, 0.4),))) is None
    study = make_study(NETWORK)
    chosen, X, _ = drawn(4, 0)
    model = cost_model(study, History.of(study, [trial(i, p) for i, p in enumerate(chosen)]), Memory())
    assert model is not None
    assert np.exp(model.predict(X)[0]) == pytest.approx([10.0] * 4, rel=0.05)


def searched(trials: int, reported: bool, memory: Memory | None = None) -> list[Trial]:
    """A study one by one: the loss falls with the use of memory, so the search presses against the limit."""
    study, done = make_study(NETWORK, trials=trials, seed=1), []
    while step := plan(study, done, 1, memory).start:
        p = step[0].parameters
        ended = trial(step[0].index, p, "OutOfMemory" if use(p) > LIMIT else None, use(p) if reported else None)
        if ended.measurements:
            loss = Measurement(0, -np.log(use(p)), 10.0, ended.measurements[0].memory)
            ended = replace(ended, measurements=(loss,))
        done.append(ended)
    return done


def test_a_search_that_presses_against_the_limit_seldom_crosses_it() -> None:
    trials = searched(24, reported=True)
    failed = [t.index for t in trials if t.state is TrialState.FAILED]
    assert len(failed) < 8  # of random configurations every other one
    assert len({NETWORK.key(t.parameters) for t in trials}) == len(trials)
    assert max(use(t.parameters) for t in trials if t.measurements) > 0.8 * LIMIT


def test_neither_order_nor_memory_change_a_suggestion_after_failures() -> None:
    trials, study = searched(10, True), make_study(NETWORK, trials=12, seed=1)
    kept = Memory()
    expected = plan(study, trials, 2, kept)
    random.Random(0).shuffle(trials)
    assert plan(study, trials, 2) == expected
    assert plan(study, trials, 2, kept) == expected
