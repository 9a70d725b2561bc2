"""Hyperparameters drawn instead of maximised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from engine.studies import BRANIN, MIXED, Cluster, branin, make_study
from hpo_engine.acquisition.averaged import LogAverage
from hpo_engine.acquisition.functions import LogEI
from hpo_engine.parameters import FloatArray
from hpo_engine.planner import plan
from hpo_engine.study import SamplerSettings
from hpo_engine.surrogate.fitting import NegativeLogPosterior, fit_surrogate
from hpo_engine.surrogate.kernels import Metric, metrics
from hpo_engine.surrogate.marginal import log_density, marginal_posteriors, slice_samples
from hpo_engine.surrogate.priors import Priors, default_priors


def box(p: int, size: float) -> Priors:
    return Priors(np.zeros(p), np.ones(p), np.full(p, -size), np.full(p, size))


def test_slice_sampling_draws_from_a_correlated_normal() -> None:
    mean, covariance = np.array([1.0, -0.5]), np.array([[1.0, 0.6], [0.6, 0.8]])
    precision = np.linalg.inv(covariance)

    def density(x: FloatArray) -> float:
        return float(-0.5 * (x - mean) @ precision @ (x - mean))

    draws = slice_samples(density, np.zeros(2), box(2, 20.0), 4000, 20, np.random.default_rng(0))
    assert np.mean(draws, axis=0) == pytest.approx(mean, abs=0.1)
    assert np.cov(draws.T) == pytest.approx(covariance, abs=0.12)


def test_slice_sampling_stays_in_the_box() -> None:
    draws = slice_samples(lambda x: 0.0, np.zeros(1), box(1, 2.0), 2000, 0, np.random.default_rng(0))
    assert np.min(draws) >= -2.0
    assert np.max(draws) <= 2.0
    assert np.std(draws) == pytest.approx(4 / 12**0.5, rel=0.1)


def test_draws_of_hyperparameters_agree_with_weighted_draws_of_the_prior() -> None:
    X = np.random.default_rng(0).random((12, 1))
    y = np.sin(5 * X[:, 0]) + 0.1 * np.random.default_rng(1).normal(size=12)
    priors = default_priors(1)
    density = log_density(NegativeLogPosterior("Matern52", (Metric.LINEAR,), X, y, priors))
    draws = slice_samples(density, priors.mean, priors, 300, 20, np.random.default_rng(2))
    thetas = priors.mean + priors.sd * np.random.default_rng(3).standard_normal((12_000, 4))
    thetas = thetas[np.all((thetas >= priors.low) & (thetas <= priors.high), axis=1)]
    logs = np.array([density(theta) + priors.penalty(theta)[0] for theta in thetas])
    weights = np.exp(logs - logs.max())
    assert weights.sum() ** 2 / (weights**2).sum() > 50  # enough of them count
    expected = weights @ thetas / weights.sum()
    assert np.mean(draws, axis=0)[:2] == pytest.approx(expected[:2], abs=0.3)


def test_posteriors_of_draws_are_the_dense_formula() -> None:
    X, Z = (MIXED.snap(np.random.default_rng(s).random((n, MIXED.dimension))) for s, n in ((0, 20), (1, 5)))
    y = np.sin(4 * np.nan_to_num(X)).sum(axis=1)
    fitted = fit_surrogate("Matern52", metrics(MIXED), X, y - y.mean(), np.random.default_rng(0)).posterior
    drawn = marginal_posteriors("Matern52", fitted, np.random.default_rng(1))
    assert len({float(p.kernel.lengthscales[0]) for p in drawn}) == len(drawn) == 8
    for p in drawn:
        inverse = np.linalg.inv(p.kernel(X, X) + p.noise * np.eye(20))
        assert p.predict(Z)[0] == pytest.approx(p.mean + p.kernel(Z, X) @ inverse @ (p.y - p.mean), abs=1e-8)


def test_the_average_is_one_of_improvements_not_of_logarithms() -> None:
    X = np.random.default_rng(0).random((12, 2))
    fitted = fit_surrogate("Matern52", metrics(BRANIN), X, np.cos(6 * X[:, 0]), np.random.default_rng(0)).posterior
    functions = tuple(LogEI(p, -0.8) for p in marginal_posteriors("Matern52", fitted, np.random.default_rng(1)))
    average, points = LogAverage(functions, fitted), np.random.default_rng(2).uniform(0.1, 0.9, (4, 2))
    assert np.exp(average(points)) == pytest.approx(np.mean([np.exp(f(points)) for f in functions], axis=0))
    for point, slope in zip(points, average.slopes(points)[1], strict=True):
        assert slope == pytest.approx(approx_fprime(point, lambda u: average(u[None, :])[0], 1e-7), abs=1e-3, rel=1e-3)


def test_a_study_may_ask_for_it() -> None:
    study = replace(make_study(BRANIN, trials=14), sampler=SamplerSettings(marginalise=True))
    cluster = Cluster(study, branin, 2).run_in_waves()
    assert cluster.best() < 3.0
    trials = [t for t in cluster.trials.values() if t.index < 12]
    assert plan(study, trials, 2) == plan(study, trials[::-1], 2)
