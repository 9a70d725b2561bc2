"""The surrogate against textbook formulas written out independently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import exp
from typing import get_args

import numpy as np
import pytest
from scipy.linalg import LinAlgError
from scipy.optimize import approx_fprime

from engine.studies import MIXED
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.study import Kernel as KernelName
from hpo_engine.surrogate import fitting
from hpo_engine.surrogate.cholesky import factor
from hpo_engine.surrogate.fitting import NegativeLogPosterior, fit_surrogate, representative
from hpo_engine.surrogate.input_warp import InputWarp
from hpo_engine.surrogate.kernels import Kernel, Metric, metrics, squared_distance
from hpo_engine.surrogate.outputs import fit_outputs
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.surrogate.priors import default_priors

KERNELS = get_args(KernelName)


def points(n: int, seed: int = 0) -> FloatArray:
    return MIXED.snap(np.random.default_rng(seed).random((n, MIXED.dimension)))


def kernel(name: KernelName = "Matern52", seed: int = 0) -> Kernel:
    lengthscales = np.exp(np.random.default_rng(seed).normal(-0.5, 0.7, MIXED.dimension))
    return Kernel(name, metrics(MIXED), lengthscales, 1.7)


def outputs(X: FloatArray, seed: int = 0) -> FloatArray:
    noise: FloatArray = np.random.default_rng(seed).normal(size=len(X))
    return np.asarray(np.sin(5 * np.nan_to_num(X)).sum(axis=1) + 0.1 * noise)


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_is_a_covariance(name: KernelName) -> None:
    X = points(60)
    for seed in range(5):
        K = kernel(name, seed)(X, X)
        assert np.array_equal(K, K.T)
        assert np.allclose(np.diag(K), 1.7)
        assert np.min(np.linalg.eigvalsh(K)) > -1e-9


TEXTBOOK: dict[KernelName, Callable[[float], float]] = {
    "SquaredExponential": lambda r: exp(-(r**2) / 2),
    "Matern12": lambda r: exp(-r),
    "Matern32": lambda r: (1 + 3**0.5 * r) * exp(-(3**0.5) * r),
    "Matern52": lambda r: (1 + 5**0.5 * r + 5 * r**2 / 3) * exp(-(5**0.5) * r),
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_the_textbook_formulas(name: KernelName) -> None:
    a, b = np.array([[0.2, 0.9]]), np.array([[0.5, 0.4]])
    r = float(np.hypot(0.3 / 0.5, 0.5 / 2.0))
    k = Kernel(name, (Metric.LINEAR, Metric.LINEAR), np.array([0.5, 2.0]), 1.3)
    assert k(a, b)[0, 0] == pytest.approx(1.3 * TEXTBOOK[name](r), rel=1e-14)


def test_inactive_values_have_no_similarity_of_their_own() -> None:
    off, values = np.array([np.nan]), np.array([0.0, 0.3, 1.0])
    for metric in (Metric.ARC, Metric.HAMMING):
        assert squared_distance(metric, off, off)[0, 0] == 0
        assert np.array_equal(squared_distance(metric, off, values)[0], np.ones(3))
    between = squared_distance(Metric.ARC, values, values)
    assert between[0, 2] == pytest.approx(1.0)
    assert between[0, 1] == pytest.approx(0.09, rel=0.1)
    assert squared_distance(Metric.HAMMING, values, values).tolist() == (1 - np.eye(3)).tolist()


@pytest.mark.parametrize("name", KERNELS)
def test_posterior_is_the_dense_formula(name: KernelName) -> None:
    X, Z = points(25), points(7, seed=1)
    y, k = outputs(X), kernel(name)
    posterior, jitter = Posterior.of(k, 0.3, 0.02, X, y)
    inverse = np.linalg.inv(k(X, X) + 0.02 * np.eye(25))
    mean = 0.3 + k(Z, X) @ inverse @ (y - 0.3)
    variance = np.diag(k(Z, Z) - k(Z, X) @ inverse @ k(X, Z))
    assert jitter == 0
    assert np.allclose(posterior.predict(Z)[0], mean, atol=1e-10)
    assert np.allclose(posterior.predict(Z)[1], np.sqrt(variance), atol=1e-10)


def warped_kernel() -> Kernel:
    columns = int(np.sum(np.array(metrics(MIXED)) == Metric.LINEAR))
    a, b = np.exp(np.random.default_rng(5).normal(0, 0.5, (2, columns)))
    return replace(kernel(), warp=InputWarp(a, b))


def test_a_warp_of_ones_changes_nothing_and_any_warp_is_a_covariance() -> None:
    X, k = points(60), warped_kernel()
    assert k.warp is not None
    ones = np.ones_like(k.warp.a)
    assert np.allclose(replace(k, warp=InputWarp(ones, ones))(X, X), kernel()(X, X), atol=1e-5)
    K = k(X, X)
    assert not np.allclose(K, kernel()(X, X), atol=1e-2)
    assert np.min(np.linalg.eigvalsh(K)) > -1e-9


def test_a_warp_rises_from_0_to_1_and_its_slopes_are_finite_differences() -> None:
    warp = InputWarp(np.array([0.4, 1.0, 3.0]), np.array([2.0, 1.0, 0.5]))
    line = np.repeat(np.linspace(0, 1, 11)[:, None], 3, axis=1)
    values = warp(line)
    assert np.allclose(values[[0, -1]], [[0] * 3, [1] * 3], atol=1e-2)
    assert np.all(np.diff(values, axis=0) > 0)
    inner, h = line[1:-1], 1e-6
    assert np.allclose(warp.slopes(inner), (warp(inner + h) - warp(inner - h)) / (2 * h), rtol=1e-5)
    for part, (da, db) in zip(warp.by_logarithms(inner), [(h, 0), (0, h)], strict=True):
        up, down = (InputWarp(warp.a * np.exp(s * da), warp.b * np.exp(s * db))(inner) for s in (1, -1))
        assert np.allclose(part, (up - down) / (2 * h), rtol=1e-4, atol=1e-8)


def test_more_data_is_the_same_as_all_data() -> None:
    X, Z = points(30), points(6, seed=1)
    y, k = outputs(X), kernel()
    whole, _ = Posterior.of(k, 0.1, 0.01, X, y)
    part, _ = Posterior.of(k, 0.1, 0.01, X[:20], y[:20])
    grown = part.with_data(X[20:27], y[20:27]).with_data(X[27:], y[27:])
    assert np.allclose(grown.L, whole.L, atol=1e-10)
    assert np.allclose(grown.predict(Z), whole.predict(Z), atol=1e-10)
    assert part.with_data(X[:0], y[:0]) is part


@pytest.mark.parametrize("k", [*map(kernel, KERNELS), warped_kernel()], ids=[*KERNELS, "warped"])
def test_posterior_slopes_are_finite_differences(k: Kernel) -> None:
    X = points(25)
    posterior, _ = Posterior.of(k, 0.0, 0.01, X, outputs(X))
    for z in points(6, seed=2):
        smooth = np.flatnonzero(~np.isnan(z) & (np.array(metrics(MIXED)) != Metric.HAMMING)).astype(np.int64)

        def at(u: FloatArray, z: FloatArray = z, smooth: IntArray = smooth) -> FloatArray:
            moved = z.copy()
            moved[smooth] = u
            return np.array(posterior.predict(moved[None, :]))[:, 0]

        numeric = approx_fprime(z[smooth], at, 1e-7)
        mean, sd, mean_slopes, sd_slopes = (part[0] for part in posterior.slopes(z[None, :]))
        assert np.allclose([mean, sd], at(z[smooth]), atol=1e-12)
        assert np.allclose(np.array([mean_slopes[smooth], sd_slopes[smooth]]), numeric, atol=1e-5)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("seed, warped", [*((seed, 0) for seed in range(4)), (0, 4), (1, 4)])
def test_marginal_likelihood_gradient_is_finite_differences(name: KernelName, seed: int, warped: int) -> None:
    X = points(20, seed)
    priors = default_priors(MIXED.dimension, warped)
    objective = NegativeLogPosterior(name, metrics(MIXED), X, outputs(X), priors)
    theta = np.clip(np.random.default_rng(seed).normal(-0.5, 0.7, len(priors.mean)), priors.low, priors.high)
    steps = 1e-5 * np.eye(len(theta))
    central = [(objective(theta + h)[0] - objective(theta - h)[0]) / 2e-5 for h in steps]
    assert np.allclose(objective(theta)[1], central, rtol=1e-5, atol=1e-5)


def test_a_function_that_changes_near_one_end_is_learnt_better_with_warped_inputs() -> None:
    generator = np.random.default_rng(0)
    X, Z = generator.random((25, 1)), generator.random((400, 1))

    def f(u: FloatArray) -> FloatArray:
        return np.asarray(np.sin(25 * u**6)[:, 0])

    plain, warped = (
        fit_surrogate("Matern52", (Metric.LINEAR,), X, f(X), np.random.default_rng(0), warped=wanted).posterior
        for wanted in (False, True)
    )
    errors = [float(np.sqrt(np.mean((p.predict(Z)[0] - f(Z)) ** 2))) for p in (plain, warped)]
    assert errors[1] < 0.7 * errors[0]


def test_marginal_likelihood_is_the_normal_density() -> None:
    X = points(12)
    y, priors = outputs(X), default_priors(MIXED.dimension)
    value, _ = NegativeLogPosterior("Matern52", metrics(MIXED), X, y, priors)(priors.mean)
    k = Kernel("Matern52", metrics(MIXED), np.exp(priors.mean[: MIXED.dimension]), 1.0)
    C = k(X, X) + np.exp(-6) * np.eye(12)
    _, log_determinant = np.linalg.slogdet(2 * np.pi * C)
    assert value == pytest.approx(0.5 * log_determinant + 0.5 * y @ np.linalg.solve(C, y), rel=1e-10)


def test_factor_takes_the_least_jitter_and_says_so() -> None:
    singular = np.ones((5, 5))
    L, jitter = factor(singular)
    assert 0 < jitter <= 1e-8
    assert np.allclose(L @ L.T, singular, atol=1e-7)
    assert factor(np.eye(3))[1] == 0
    for hopeless in (-np.eye(3), np.full((2, 2), np.nan)):
        with pytest.raises(LinAlgError, match="positive definite"):
            factor(hopeless)


def test_fit_finds_what_matters() -> None:
    X = np.random.default_rng(0).random((60, 3))
    y = np.sin(6 * X[:, 0])
    fit = fit_surrogate("Matern52", (Metric.LINEAR,) * 3, X, fit_outputs(y).forward(y), np.random.default_rng(1))
    relevant, *irrelevant = fit.posterior.kernel.lengthscales
    assert min(irrelevant) > 5 * relevant
    assert fit.posterior.noise < 0.01
    assert fit.notes == ()


def test_fit_of_noise_is_flat() -> None:
    X, y = np.random.default_rng(0).random((80, 2)), np.random.default_rng(1).normal(size=80)
    posterior = fit_surrogate("Matern52", (Metric.LINEAR,) * 2, X, y, np.random.default_rng(2)).posterior
    assert np.std(posterior.predict(X)[0]) < 0.5 * np.std(y)
    assert posterior.noise > 0.3


def test_fit_is_deterministic_and_survives_degenerate_data() -> None:
    X = points(10)
    one, two = (fit_surrogate("Matern52", metrics(MIXED), X, outputs(X), np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.posterior.alpha, two.posterior.alpha)
    same = fit_surrogate("Matern52", metrics(MIXED), np.repeat(X[:1], 8, axis=0), np.zeros(8), np.random.default_rng(0))
    assert np.all(np.isfinite(same.posterior.predict(X)))
    single = fit_surrogate("Matern52", metrics(MIXED), X[:1], np.zeros(1), np.random.default_rng(0))
    assert np.all(np.isfinite(single.posterior.predict(X)))


def test_a_search_without_result_falls_back_to_the_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: NegativeLogPosterior, theta: FloatArray) -> tuple[float, FloatArray]:
        raise LinAlgError("not positive definite")

    monkeypatch.setattr(fitting.NegativeLogPosterior, "__call__", fail)
    X = points(10)
    fit = fit_surrogate("Matern52", metrics(MIXED), X, outputs(X), np.random.default_rng(0))
    assert "the prior's hyperparameters are used" in fit.notes[0]
    assert np.allclose(fit.posterior.kernel.lengthscales, np.exp(default_priors(MIXED.dimension).mean[0]))


def test_representative_keeps_the_best_and_spans_the_rest() -> None:
    y = np.random.default_rng(0).permutation(100).astype(float)
    chosen = representative(y, 20)
    assert len(set(chosen.tolist())) == 20
    assert np.array_equal(chosen, np.sort(chosen))
    assert set(range(10)) <= set(y[chosen])
    assert np.max(y[chosen]) == 99
    assert np.array_equal(representative(y, 100), np.arange(100))
