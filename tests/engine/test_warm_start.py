"""Earlier studies that rank alike help, others change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from engine.studies import HARTMANN6, Cluster, hartmann6, make_study
from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray
from hpo_engine.prior_knowledge import Earlier
from hpo_engine.samplers.earlier_studies import best_of_earlier, earlier_surrogates, with_earlier
from hpo_engine.surrogate.kernels import Kernel, metrics
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.surrogate.warm_start import Guess, Shifted, misranked, ranking_weights
from hpo_engine.trial import Parameters


def earlier(loss: Callable[[Parameters], float], count: int = 40, seed: int = 7) -> Earlier:
    chosen = [HARTMANN6.decode(u) for u in np.random.default_rng(seed).random((count, 6))]
    return Earlier("old", tuple(chosen), tuple(loss(p) for p in chosen))


def opposite(p: Parameters) -> float:
    return -hartmann6(p)


def noise(p: Parameters) -> float:
    return float(np.random.default_rng(abs(hash(tuple(p.values())))).normal())


def own(count: int, seed: int = 0) -> Posterior:
    """A surrogate of Hartmann6 at random points."""
    X = np.random.default_rng(seed).random((count, 6))
    y = np.array([hartmann6(HARTMANN6.decode(u)) for u in X])
    kernel = Kernel("Matern52", metrics(HARTMANN6), np.full(6, 0.6), 1.0)
    return Posterior.of(kernel, 0.0, 1e-3, X, (y - y.mean()) / y.std())[0]


def test_misranked_pairs_are_counted() -> None:
    draws: FloatArray = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [2.0, 1.0, 3.0]])
    assert misranked(draws, np.array([1.0, 2.0, 3.0])) == pytest.approx([0, 1, 1 / 3])
    assert misranked(draws, np.zeros(3)) == pytest.approx([0.5, 0.5, 0.5])


def test_who_ranks_alike_gets_the_weight_and_who_does_not_gets_none() -> None:
    study = replace(make_study(HARTMANN6), earlier=(earlier(hartmann6), earlier(opposite), earlier(noise)))
    alike, against, random = ranking_weights(own(15), earlier_surrogates(study), np.random.default_rng(0))
    assert alike > 0.3
    assert against == random == 0


def test_an_earlier_study_that_does_not_rank_alike_leaves_the_surrogate_untouched() -> None:
    mine = own(15)
    study = replace(make_study(HARTMANN6), earlier=(earlier(opposite),))
    assert with_earlier(study, mine, Memory()) is mine


def test_a_shifted_posterior_is_the_guess_plus_what_is_left() -> None:
    mine, guess = own(12), Guess(np.array([0.7]), (own(30, seed=3),))
    left, _ = Posterior.of(mine.kernel, 0.0, 1e-3, mine.X, mine.y - guess.means(mine.X))
    shifted = Shifted.by(guess, left)
    points = np.random.default_rng(5).uniform(0.1, 0.9, (5, 6))
    assert np.allclose(shifted.predict(points)[0], left.predict(points)[0] + guess.means(points))
    assert np.allclose(shifted.fitted, shifted.predict(mine.X)[0])
    assert np.allclose(shifted.joint(points)[0], shifted.means(points))
    believed = shifted.believing(points)
    assert np.allclose(believed.predict(mine.X)[0], shifted.predict(mine.X)[0], atol=1e-6)
    assert np.all(believed.predict(points)[1] < shifted.predict(points)[1])
    assert np.allclose(shifted.with_data(points, shifted.means(points)).predict(points)[0], shifted.means(points))
    for point, slope in zip(points, shifted.slopes(points)[2], strict=True):
        assert slope == pytest.approx(approx_fprime(point, lambda u: shifted.predict(u[None, :])[0][0], 1e-7), abs=1e-4)


def test_the_best_of_every_earlier_study_come_in_turn() -> None:
    one, two = earlier(hartmann6), earlier(opposite)
    study = replace(make_study(HARTMANN6), earlier=(one, two, Earlier("strange", ({"z": 1.0},), (0.0,))))
    first, second, *rest = best_of_earlier(study)
    assert first == one.parameters[int(np.argmin(one.losses))]
    assert second == two.parameters[int(np.argmin(two.losses))]
    assert len(rest) == 2


def test_a_study_with_a_good_predecessor_starts_ahead_and_one_with_a_bad_one_does_not_end_behind() -> None:
    def best(before: tuple[Earlier, ...], trials: int, seed: int) -> float:
        study = replace(make_study(HARTMANN6, trials=trials, seed=seed), earlier=before)
        return Cluster(study, lambda p, resource: hartmann6(p), 4).run_in_waves().best()

    seeds = range(4)
    assert median(best((earlier(hartmann6),), 12, s) for s in seeds) < median(best((), 12, s) for s in seeds)
    assert median(best((earlier(opposite),), 32, s) for s in seeds) < -2.5
