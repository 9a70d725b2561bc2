"""log EI against 200-digit arithmetic, and its maximisation against exhaustive search."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.studies import HARTMANN6, MIXED, TINY
from hpo_engine.acquisition.functions import LCB, AcquisitionFunction, LogEI, LogPI, beta
from hpo_engine.acquisition.log_ei import log_ei, log_ei_slopes, log_h
from hpo_engine.acquisition.maximise import maximise
from hpo_engine.acquisition.pending import condemns, with_believed
from hpo_engine.acquisition.thompson import thompson
from hpo_engine.samplers.gp import improved
from hpo_engine.space import CategoricalParameter, FloatParameter, IntParameter, Space
from hpo_engine.surrogate.kernels import Kernel, metrics
from hpo_engine.surrogate.outputs import fit_outputs
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Trial, TrialState


def exact_log_h(z: float) -> float:
    with mpmath.workdps(200):
        x = mpmath.mpf(z)
        if z < -100:  # the integral of the tail by its asymptotic series, exact to 200 digits only with a quadrature
            h = mpmath.quad(lambda t: t * mpmath.exp(x * t - t * t / 2), [0, mpmath.mpf(50) / -x, mpmath.mpf(800) / -x])
            return float(mpmath.log(h) - x * x / 2 - mpmath.log(2 * mpmath.pi) / 2)
        h = mpmath.npdf(x) + x * mpmath.ncdf(x)
        return float(mpmath.log(h))


@pytest.mark.parametrize("z", [-1e6, -1e5, -1001, -999, -300, -40, -38, -10, -5, -1.001, -1, -0.999, 0, 1, 8, 40, 1e6])
def test_log_h_is_exact_everywhere(z: float) -> None:
    assert float(log_h(np.array(z))) == pytest.approx(exact_log_h(z), rel=1e-9, abs=1e-10)


def test_log_ei_is_the_log_of_ei_where_ei_exists() -> None:
    mean, sd, best = np.array([0.0, 1.0, -2.0]), np.array([1.0, 0.3, 2.0]), 0.1
    draws = np.random.default_rng(0).normal(size=(400_000, 1))
    ei = np.mean(np.maximum(best - (mean + sd * draws), 0.0), axis=0)
    assert np.allclose(np.exp(log_ei(mean, sd, best)), ei, atol=4e-3)


@given(st.floats(-5, 5), st.floats(1e-4, 5), st.floats(-5, 5))
def test_log_ei_slopes_are_finite_differences(mean: float, sd: float, best: float) -> None:
    def value(m: float, s: float) -> float:
        return float(log_ei(np.array(m), np.array(s), best))

    here, by_mean, by_sd = (float(x[0]) for x in log_ei_slopes(np.array([mean]), np.array([sd]), best))
    assert here == pytest.approx(value(mean, sd), rel=1e-12, abs=1e-12)
    h = 1e-6 * sd
    assert by_mean == pytest.approx((value(mean + h, sd) - value(mean - h, sd)) / (2 * h), rel=1e-3, abs=1e-3)
    assert by_sd == pytest.approx((value(mean, sd + h) - value(mean, sd - h)) / (2 * h), rel=1e-3, abs=1e-3)


def posterior(space: Space, n: int = 15, seed: int = 0) -> Posterior:
    X = space.snap(np.random.default_rng(seed).random((n, space.dimension)))
    y = np.cos(4 * np.nan_to_num(X)).sum(axis=1)
    k = Kernel("Matern52", metrics(space), np.full(space.dimension, 0.6), 1.0)
    return Posterior.of(k, 0.0, 1e-4, X, y)[0]


def log_ei_of(space: Space) -> LogEI:
    p = posterior(space)
    return LogEI(p, float(np.min(p.y)))


def test_probability_of_improvement_and_confidence_bound_are_their_closed_forms() -> None:
    p = posterior(MIXED)
    points = MIXED.snap(np.random.default_rng(4).random((50, MIXED.dimension)))
    mean, sd = p.predict(points)
    probability = [float(mpmath.ncdf((-0.3 - m) / s)) for m, s in zip(mean, sd, strict=True)]
    assert np.exp(LogPI(p, -0.3)(points)) == pytest.approx(probability, rel=1e-9)
    assert LCB(p, 4.0)(points) == pytest.approx(2 * sd - mean)
    assert np.all(np.isfinite(LogPI(p, -1e4)(points)))
    assert beta(6, 9) == pytest.approx(1.2 * math.log(20))


@pytest.mark.parametrize("make", [lambda p: LogPI(p, -2.0), lambda p: LCB(p, 3.0), lambda p: LogEI(p, -2.0)])
def test_slopes_of_every_acquisition_function_are_finite_differences(
    make: Callable[[Posterior], AcquisitionFunction],
) -> None:
    function, coordinates, h = make(posterior(HARTMANN6)), np.arange(6), 1e-6
    for point in np.random.default_rng(8).uniform(0.1, 0.9, (10, 6)):
        value, slopes = function.with_slopes(point, coordinates)
        assert value == pytest.approx(float(function(point[None, :])[0]), rel=1e-9)
        moved = [(function(np.array([point + h * e]))[0] - function(np.array([point - h * e]))[0]) for e in np.eye(6)]
        assert slopes == pytest.approx(np.array(moved) / (2 * h), rel=1e-4, abs=1e-4)


def test_the_second_target_is_a_quarter_better_whatever_the_sign() -> None:
    for losses in (np.array([0.4, 0.5, 0.9, 1.3]), np.array([-0.8, -0.6, -0.5, -0.1])):
        outputs = fit_outputs(losses)
        best = float(outputs.forward(losses[:1])[0])
        target = improved(outputs, best)
        assert outputs.inverse(np.array([target])) == pytest.approx(losses[0] - 0.25 * abs(losses[0]))
        assert target < best


def test_thompson_chooses_as_often_as_a_configuration_is_the_lowest() -> None:
    p, points = posterior(TINY, n=4), np.array([TINY.encode(c) for c in TINY.configurations()])
    mean, covariance = p.joint(points)
    assert mean == pytest.approx(p.predict(points)[0])
    assert np.sqrt(np.diag(covariance)) == pytest.approx(p.predict(points)[1], abs=1e-6)
    draws = np.random.default_rng(5).multivariate_normal(mean, covariance, size=20_000, check_valid="ignore")
    expected = np.bincount(np.argmin(draws, axis=1), minlength=8) / 20_000
    choices = [thompson(TINY, p, set(), np.empty((0, 3)), np.random.default_rng(i)) for i in range(1000)]
    keys = [TINY.key(c) for c in TINY.configurations()]
    chosen = [keys.index(TINY.key(choice.parameters)) for choice in choices if choice is not None]
    assert np.bincount(chosen, minlength=8) / 1000 == pytest.approx(expected, abs=0.08)
    assert thompson(TINY, p, set(keys), np.empty((0, 3)), np.random.default_rng(0)) is None


def test_small_spaces_are_searched_completely() -> None:
    function = log_ei_of(TINY)
    listed = list(TINY.configurations())
    values = function(np.array([TINY.encode(c) for c in listed]))
    used: set[str] = set()
    for position in np.argsort(-values, kind="stable"):
        choice = maximise(TINY, function, used, np.empty((0, 3)), np.random.default_rng(0))
        assert choice is not None
        assert choice.value == pytest.approx(values[position])
        used.add(TINY.key(choice.parameters))
    assert maximise(TINY, function, used, np.empty((0, 3)), np.random.default_rng(0)) is None


def test_mixed_discrete_space_comes_close_to_the_exhaustive_optimum() -> None:
    space = Space(
        (
            IntParameter("a", 0, 29),
            CategoricalParameter("b", tuple("uvwxyz")),
            IntParameter("c", 1, 40, log=True),
        )
    )
    function = log_ei_of(space)
    top = np.max(function(np.array([space.encode(c) for c in space.configurations()])))
    for seed in range(5):
        choice = maximise(space, function, set(), function.posterior.X[:3], np.random.default_rng(seed))
        assert choice is not None
        assert choice.value == pytest.approx(top, abs=1e-6)


@pytest.mark.parametrize("space", [MIXED, Space((FloatParameter("x", 0, 1), FloatParameter("y", -3, 3)))])
def test_maximum_beats_a_dense_random_search(space: Space) -> None:
    function = log_ei_of(space)
    random = function(space.snap(np.random.default_rng(9).random((20_000, space.dimension))))
    for seed in range(3):
        choice = maximise(space, function, set(), function.posterior.X[:3], np.random.default_rng(seed))
        assert choice is not None
        space.check(choice.parameters)
        assert choice.value >= np.max(random) - 1e-3


def test_a_used_maximum_is_not_returned() -> None:
    function = log_ei_of(MIXED)
    used: set[str] = set()
    for _ in range(10):
        choice = maximise(MIXED, function, used, function.posterior.X[:3], np.random.default_rng(0))
        assert choice is not None
        assert MIXED.key(choice.parameters) not in used
        used.add(MIXED.key(choice.parameters))


def test_believed_trials_leave_means_and_take_doubt() -> None:
    before = posterior(MIXED)
    running, elsewhere = (MIXED.snap(np.random.default_rng(s).random((4, MIXED.dimension))) for s in (1, 2))
    after = with_believed(before, running)
    assert np.allclose(after.predict(elsewhere)[0], before.predict(elsewhere)[0], atol=1e-8)
    assert np.all(after.predict(elsewhere)[1] <= before.predict(elsewhere)[1] + 1e-12)
    assert np.all(after.predict(running)[1] < 0.2 * before.predict(running)[1])


def test_only_the_configurations_own_failures_condemn_it() -> None:
    def failed(reason: str) -> Trial:
        return Trial(0, {}, TrialState.FAILED, failure=reason)

    assert condemns(failed("OutOfMemory"))
    assert condemns(failed("Error"))
    assert not condemns(failed("BadData"))
    assert not condemns(Trial(0, {}, TrialState.STOPPED))
