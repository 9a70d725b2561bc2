"""Losses become standard outputs: by a power where that is enough, else with ranks for the worse half."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import norm

from hpo_engine.surrogate.half_ranks import HalfRanks, fit_half_ranks
from hpo_engine.surrogate.outputs import fit_outputs
from hpo_engine.surrogate.power_transform import PowerTransform, fit_power, inverse_yeo_johnson, yeo_johnson

PLATEAU = np.array([0.2, 0.4, 0.5, *np.linspace(0.69, 0.7, 30), 9.0, 50.0, 1e12])


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=20), st.floats(0, 2))
@example([1.0, -1.0], 5e-324)
@example([1.0, -1.0], 1e-11)
def test_yeo_johnson_comes_back(xs: list[float], power: float) -> None:
    x = np.sort(np.array(xs))
    y = yeo_johnson(x, power)
    assert np.all(np.diff(y) >= 0)
    assert np.allclose(inverse_yeo_johnson(y, power), x, rtol=1e-6, atol=1e-6)


def test_yeo_johnson_is_the_published_formula() -> None:
    x = np.array([-2.0, -0.5, 0.0, 0.5, 3.0])
    for power in (0.0, 0.3, 1.0, 1.7, 2.0):
        expected = [
            (np.log1p(v) if power == 0 else ((v + 1) ** power - 1) / power)
            if v >= 0
            else (-np.log1p(-v) if power == 2 else -((1 - v) ** (2 - power) - 1) / (2 - power))
            for v in x
        ]
        assert np.allclose(yeo_johnson(x, power), expected, rtol=1e-12)


@pytest.mark.parametrize("losses", [np.exp(np.random.default_rng(0).normal(size=50)), PLATEAU])
def test_outputs_are_standard(losses: np.ndarray) -> None:
    y = fit_outputs(losses).forward(losses)
    assert np.mean(y) == pytest.approx(0, abs=1e-12)
    assert np.std(y) == pytest.approx(1, abs=1e-12)


def test_smooth_losses_get_a_power_and_plateaus_get_ranks() -> None:
    assert isinstance(fit_outputs(np.exp(np.random.default_rng(0).normal(size=50))), PowerTransform)
    assert isinstance(fit_outputs(PLATEAU), HalfRanks)
    assert isinstance(fit_outputs(PLATEAU[::7]), PowerTransform)


def test_the_power_straightens_and_clips() -> None:
    losses = np.exp(np.random.default_rng(0).normal(size=50))
    transform = fit_power(losses)
    y = transform.forward(losses)
    assert transform.power < 0.7
    assert np.all(np.diff(y[np.argsort(losses)]) >= 0)
    unclipped = losses < transform.fence
    assert np.allclose(transform.inverse(y[unclipped]), losses[unclipped])


@given(st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=1, max_size=30))
def test_with_ranks_the_order_stays_and_every_loss_comes_back(values: list[float]) -> None:
    losses = np.array(values)
    transform = fit_half_ranks(losses)
    y = transform.forward(losses)
    assert np.all(np.diff(y[np.argsort(losses)]) >= -1e-12)
    assert np.allclose(transform.inverse(y), losses, rtol=1e-6, atol=1e-6)


def test_the_better_half_keeps_its_distances_and_the_worse_has_normal_scores() -> None:
    losses = np.array([0.1, 0.2, 0.4, 0.5, 0.6, 0.9, 7.0, 8e9, 9e9])
    transform = fit_half_ranks(losses)
    y = transform.forward(losses)
    assert np.allclose(np.diff(y[:5]) / np.diff(losses[:5]), (y[4] - y[0]) / 0.5)
    assert np.allclose(y[5:] * transform.sd + transform.mean, norm.ppf((np.arange(6, 10) - 0.5) / 9))


@pytest.mark.parametrize("losses", [np.linspace(1.0, 2.0, 11), PLATEAU])
def test_losses_beyond_what_was_seen(losses: np.ndarray) -> None:
    transform = fit_outputs(losses)
    best, worst = float(np.min(losses)), float(np.max(losses))
    beyond = transform.forward(np.array([best - 0.1, best, worst, 2 * worst]))
    assert beyond[0] < beyond[1] < beyond[2] == beyond[3]
    assert transform.inverse(beyond[:1])[0] == pytest.approx(best - 0.1)


@pytest.mark.parametrize("disaster", [1e3, 1e30, 1e300])
def test_a_diverged_run_does_not_squeeze_the_others(disaster: float) -> None:
    losses = np.concatenate([np.linspace(0.2, 0.6, 15), [disaster]])
    y = fit_outputs(losses).forward(losses)
    assert np.ptp(y[:15]) > 1.5
    assert y[15] == np.max(y)


def test_equal_losses_become_zero() -> None:
    for losses in (np.full(5, 0.7), np.zeros(3), np.array([1e-3])):
        transform = fit_outputs(losses)
        assert np.array_equal(transform.forward(losses), np.zeros(len(losses)))
        assert np.allclose(transform.inverse(np.zeros(1)), losses[0])


def test_a_plateau_of_equal_losses() -> None:
    losses = np.array([0.1, *[0.693] * 20, 3.0])
    y = fit_outputs(losses).forward(losses)
    assert y[0] < y[1] == y[20] < y[21]
    assert np.all(np.isfinite(y))
