"""Expected remaining gains, against closed forms and against studies that went on."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
from scipy.stats import norm

from engine.analysis.test_importance import history, study_of
from engine.analysis.test_slices import PLANE, bowl
from engine.studies import HARTMANN6, TINY, hartmann6, tiny
from hpo_engine.analysis.belief import believe
from hpo_engine.analysis.remaining_gain import _functions, _gains, remaining_gain
from hpo_engine.parameters import FloatArray


def test_one_draw_is_the_closed_form() -> None:
    """f(x*) - f(x) is normal with mean m and variance s² of the joint posterior: E max(0, .) = m Φ(m/s) + s φ(m/s)."""
    belief = believe(study_of(PLANE), history(PLANE, bowl, 5))  # five values: the outputs are an affine map of them
    assert belief is not None
    points = np.array([[0.1, 0.9], [0.5, 0.5], [0.35, 0.62]])
    functions = _functions(belief, np.vstack([belief.best, points]), np.random.default_rng(0))
    found = np.mean(_gains(belief, functions[:, 0], functions[:, 1:]), axis=0)
    mean, covariance = belief.posterior.joint(np.vstack([belief.best, points]))
    for i in range(1, 4):
        m = mean[0] - mean[i]
        s = sqrt(covariance[0, 0] + covariance[i, i] - 2 * covariance[0, i])
        expected = (m * norm.cdf(m / s) + s * norm.pdf(m / s)) * belief.outputs.sd * belief.outputs.spread
        assert found[i - 1] == pytest.approx(expected, abs=0.15 * s * belief.outputs.sd * belief.outputs.spread)


def test_more_trials_gain_more_and_never_more_than_the_ceiling() -> None:
    belief = believe(study_of(HARTMANN6), history(HARTMANN6, lambda p: hartmann6(p), 30))
    assert belief is not None
    gains = remaining_gain(belief, (1, 3, 10, 30))
    models = [gain.model for gain in gains]
    assert models == sorted(models)
    assert all(0 <= gain.random <= gain.ceiling and gain.model <= gain.ceiling for gain in gains)
    assert all(gain.model > gain.random for gain in gains)
    assert [gain.random_chance for gain in gains] == [1 / 31, 3 / 33, 10 / 40, 30 / 60]


def test_a_study_that_has_converged_has_little_to_gain() -> None:
    """From 8 to 60 trials of a bowl the expected gain falls below a hundredth of what it was."""
    early, late = (believe(study_of(PLANE), history(PLANE, bowl, n)) for n in (8, 60))
    assert early is not None and late is not None
    before, after = (remaining_gain(belief, (5,))[0] for belief in (early, late))
    assert after.ceiling < 0.2 * before.ceiling
    assert after.ceiling < 0.005


def test_gains_are_in_the_users_units() -> None:
    plain, scaled = (believe(study_of(PLANE), history(PLANE, lambda p, f=f: f * bowl(p), 20)) for f in (1.0, 1000.0))
    assert plain is not None and scaled is not None
    for one, thousand in zip(remaining_gain(plain), remaining_gain(scaled), strict=True):
        assert thousand.model == pytest.approx(1000 * one.model, rel=1e-3)
        assert thousand.ceiling == pytest.approx(1000 * one.ceiling, rel=1e-3)


def test_expectations_come_true() -> None:
    """40 smooth random functions, 10 places known: what 5 blind draws were expected to gain, and what they gained.

    Sums of 400 random waves, close to draws of a GP with a length scale of 0.3. The difference is within 3 errors.
    """
    generator, differences, came = np.random.default_rng(5), [], []
    for _ in range(40):
        waves, phases = generator.standard_normal((2, 400)) / 0.3, generator.uniform(0, 2 * pi, 400)
        weights = generator.standard_normal(400) * sqrt(2 / 400)

        def f(points: FloatArray, w: FloatArray = waves, p: FloatArray = phases, a: FloatArray = weights) -> FloatArray:
            return np.asarray(np.cos(points @ w + p) @ a)

        trials = history(PLANE, lambda p, f=f: float(f(np.array([[float(p["a"]), float(p["b"])]]))[0]), 10)  # type: ignore[misc]
        belief = believe(study_of(PLANE), trials)
        assert belief is not None
        blind = f(generator.random((5000, 2))).reshape(-1, 5).min(axis=1)
        came.append(float(np.mean(np.maximum(0.0, f(belief.best[None, :]) - blind))))
        differences.append(remaining_gain(belief, (5,))[0].random - came[-1])
    assert abs(np.mean(differences)) < 3 * np.std(differences) / sqrt(40) < np.mean(came)


def test_a_space_that_is_nearly_used_up() -> None:
    trials = history(TINY, lambda p: tiny(p), 40)
    distinct = list({TINY.key(t.parameters): t for t in trials}.values())[:6]
    belief = believe(study_of(TINY), distinct)
    assert belief is not None
    assert [gain.trials for gain in remaining_gain(belief, (1, 2, 3))] == [1, 2]


def test_deterministic() -> None:
    trials = history(PLANE, bowl, 12)
    found = [believe(study_of(PLANE), order) for order in (trials, trials[::-1])]
    assert found[0] is not None and found[1] is not None
    assert remaining_gain(found[0]) == remaining_gain(found[1])
