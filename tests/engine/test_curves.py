"""The model of learning curves against its own formulas, written out independently."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import spearmanr

from engine.studies import MIXED, branin
from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.space import FloatParameter, Space
from hpo_engine.surrogate.curve_fitting import CurveLikelihood, curve_priors, fit_curves, thinned
from hpo_engine.surrogate.curves import JITTER, UNBEGUN, CurveData, CurveParameters, CurvePosterior
from hpo_engine.surrogate.kernels import Metric, metrics

MAXIMUM = 27
D = MIXED.dimension


def data(trials: int = 9, seed: int = 0) -> CurveData:
    """Curves of one to three points, of different lengths."""
    generator = np.random.default_rng(seed)
    points = MIXED.snap(generator.random((trials, D)))
    rows = [(i, r) for i in range(trials) for r in (1.0, 3.0, 9.0, 27.0)[: 1 + i % 4]]
    numbers = np.array([i for i, _ in rows], dtype=np.int64)
    resource = np.array([r for _, r in rows])
    y = np.sin(7 * np.nan_to_num(points[numbers])).sum(axis=1) / 3 + 1 / resource + generator.normal(0, 0.1, len(rows))
    return CurveData(points[numbers], resource, numbers, y, MAXIMUM)


def theta(seed: int = 0) -> FloatArray:
    priors = curve_priors(D)
    drawn = np.random.default_rng(seed).normal(priors.mean, 0.5 * priors.sd)
    return np.clip(drawn, priors.low + 0.1, priors.high - 0.1)


def parameters(seed: int = 0) -> CurveParameters:
    return CurveParameters.of("Matern52", metrics(MIXED), theta(seed))


def remaining(t: float, a: float) -> float:
    return (t**-a - MAXIMUM**-a) / (1 - MAXIMUM**-a)


def covariance(p: CurveParameters, a: CurveData, b: CurveData) -> FloatArray:
    """Entry by entry, as in the module's formula."""
    rho, K = p.correlation(a.X, b.X), np.empty((len(a.y), len(b.y)))
    for i in range(len(a.y)):
        for j in range(len(b.y)):
            left, right = remaining(a.resource[i], p.exponent), remaining(b.resource[j], p.exponent)
            value = (p.final + p.gap * left * right) * rho[i, j]
            if a.trial[i] == b.trial[j] != UNBEGUN:
                value += p.own * exp(-abs(log(a.resource[i] / b.resource[j])) / log(MAXIMUM) / p.persistence)
            K[i, j] = exp(p.widening * (left + right)) * value
    return K


def dense(p: CurveParameters, seen: CurveData, at: CurveData) -> tuple[FloatArray, FloatArray]:
    """Means and standard deviations by inverting the whole matrix."""

    def level(points: CurveData) -> FloatArray:
        return np.array([p.mean + p.rise * remaining(t, p.exponent) for t in points.resource])

    inverse = np.linalg.inv(covariance(p, seen, seen) + (p.noise + JITTER) * np.eye(len(seen.y)))
    cross = covariance(p, at, seen)
    own = np.diag(covariance(p, at, at)) + np.array(
        [
            exp(2 * p.widening * remaining(t, p.exponent)) * p.own * (k == UNBEGUN)
            for t, k in zip(at.resource, at.trial, strict=True)
        ]
    )
    variance = own - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    return level(at) + cross @ inverse @ (seen.y - level(seen)), np.sqrt(variance)


def places(seed: int = 1) -> tuple[FloatArray, FloatArray, IntArray]:
    """Trials that were not begun, and two that were, at several resources."""
    X = np.vstack([MIXED.snap(np.random.default_rng(seed).random((4, D))), data().X[:2]])
    trial = np.array([UNBEGUN, UNBEGUN, UNBEGUN, UNBEGUN, *data().trial[:2]], dtype=np.int64)
    return X, np.array([1.0, 9.0, 27.0, 27.0, 27.0, 2.0]), trial


@pytest.mark.parametrize("seed", range(3))
def test_predictions_are_the_dense_formula(seed: int) -> None:
    p, (X, resource, trial) = parameters(seed), places()
    posterior = CurvePosterior.of(p, data())
    expected = dense(p, data(), CurveData(X, resource, trial, np.zeros(len(X)), MAXIMUM))
    assert np.allclose(posterior.predict(X, resource, trial), expected, atol=1e-8)


@pytest.mark.parametrize("resource", [1, 9, 27])
def test_a_slice_is_what_new_trials_would_do_there(resource: int) -> None:
    posterior = CurvePosterior.of(parameters(), data())
    Z = MIXED.snap(np.random.default_rng(2).random((5, D)))
    expected = posterior.predict(Z, np.full(5, float(resource)), np.full(5, UNBEGUN))
    piece = posterior.slice(resource)
    assert np.allclose(piece.predict(Z), expected, atol=1e-10)
    assert np.allclose(piece.means(Z), expected[0], atol=1e-10)
    mean, variance = piece.joint(Z)
    assert np.allclose([mean, np.sqrt(np.diag(variance))], expected, atol=1e-10)


def test_slopes_of_a_slice_are_finite_differences() -> None:
    piece = CurvePosterior.of(parameters(), data()).slice(3)
    points = MIXED.snap(np.random.default_rng(3).uniform(0.1, 0.9, (6, D)))
    mean, sd, mean_slopes, sd_slopes = piece.slopes(points)
    assert np.allclose([mean, sd], piece.predict(points), atol=1e-10)
    for i, z in enumerate(points):
        smooth = np.flatnonzero(~np.isnan(z) & (np.array(metrics(MIXED)) != Metric.HAMMING))

        def at(u: FloatArray, z: FloatArray = z, smooth: IntArray = smooth) -> FloatArray:
            moved = z.copy()
            moved[smooth] = u
            return np.array(piece.predict(moved[None, :]))[:, 0]

        numeric = approx_fprime(z[smooth], at, 1e-7)
        assert np.allclose([mean_slopes[i, smooth], sd_slopes[i, smooth]], numeric, atol=1e-5)


def test_believing_changes_deviations_and_no_mean() -> None:
    p, (X, resource, trial) = parameters(), places()
    posterior = CurvePosterior.of(p, data())
    trial = np.where(trial == UNBEGUN, np.arange(100, 106), trial)
    believed = posterior.believing(X, resource, trial)
    means, _ = posterior.predict(X, resource, trial)
    whole = CurvePosterior.of(p, data().with_points(X, resource, trial, means))
    Z = MIXED.snap(np.random.default_rng(4).random((5, D)))
    there, new = np.full(5, 27.0), np.full(5, UNBEGUN)
    assert np.allclose(believed.predict(Z, there, new), whole.predict(Z, there, new), atol=1e-7)
    assert np.allclose(believed.predict(Z, there, new)[0], posterior.predict(Z, there, new)[0], atol=1e-7)
    assert np.all(believed.predict(Z, there, new)[1] < posterior.predict(Z, there, new)[1] + 1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_likelihoods_gradient_is_finite_differences(seed: int) -> None:
    priors, at = curve_priors(D), theta(seed)
    objective = CurveLikelihood("Matern52", metrics(MIXED), data(), priors)
    steps = 1e-5 * np.eye(len(at))
    central = [(objective(at + h)[0] - objective(at - h)[0]) / 2e-5 for h in steps]
    assert np.allclose(objective(at)[1], central, rtol=2e-3, atol=2e-3)


def test_the_likelihood_is_the_normal_density() -> None:
    p, seen, at = parameters(), data(), theta()
    K = covariance(p, seen, seen) + (p.noise + JITTER) * np.eye(len(seen.y))
    residual = seen.y - np.array([p.mean + p.rise * remaining(t, p.exponent) for t in seen.resource])
    expected = 0.5 * residual @ np.linalg.solve(K, residual) + 0.5 * np.linalg.slogdet(K)[1]
    priors = curve_priors(D)
    value, _ = CurveLikelihood("Matern52", metrics(MIXED), seen, priors)(at)
    assert value - priors.penalty(at)[0] == pytest.approx(expected, rel=1e-9)


def test_short_runs_foretell_long_ones() -> None:
    """30 runs of one unit and 5 to the end tell the order of what 200 others would give at the end."""
    space = Space((FloatParameter("x", -5.0, 10.0), FloatParameter("y", 0.0, 15.0)))
    generator = np.random.default_rng(0)
    X = space.snap(generator.random((230, 2)))
    final = np.array([sqrt(branin(space.decode(x))) for x in X])
    numbers = np.array([*range(30), *range(5)], dtype=np.int64)
    resource = np.repeat([1.0, 27.0], [30, 5])
    y = final[numbers] * np.where(resource == 1, 0.7, 1.0) + np.where(resource == 1, 4.0, 0.0)
    seen = CurveData(X[numbers], resource, numbers, (y - y.mean()) / y.std(), MAXIMUM)
    curves, notes = fit_curves("Matern52", metrics(space), seen, Memory())
    means, _ = curves.predict(X[30:], np.full(200, 27.0), np.full(200, UNBEGUN))
    assert notes == ()
    assert spearmanr(means, final[30:]).statistic > 0.9


def test_thinning_keeps_the_ends_of_curves_then_the_longest() -> None:
    seen = data(12)
    ends = {k: float(np.max(seen.resource[seen.trial == k])) for k in range(12)}
    few = thinned(seen, 15)
    assert len(few.y) == 15
    assert {(int(k), r) for k, r in zip(few.trial, few.resource, strict=True)} >= set(ends.items())
    fewer = thinned(seen, 6)
    best = sorted(range(len(seen.y)), key=lambda i: (seen.resource[i] != ends[int(seen.trial[i])], seen.y[i]))[:3]
    assert len(fewer.y) == 6
    assert {int(seen.trial[i]) for i in best} <= set(fewer.trial.tolist())
    assert thinned(seen, len(seen.y)) is seen
