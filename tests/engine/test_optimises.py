"""The Gaussian process earns its keep: medians over seeds against random search, also with diverged and noisy runs."""

from __future__ import annotations

import zlib
from statistics import median

import numpy as np
import pytest

from engine.studies import BRANIN, HARTMANN6, MIXED, Cluster, Loss, branin, hartmann6, make_study, mixed
from hpo_engine.incumbent import incumbent
from hpo_engine.space import Space
from hpo_engine.study import SamplerName
from hpo_engine.trial import Parameters, TrialState

SEEDS = range(10)
WAVE = 4
"""Trials at a time."""


def best_losses(space: Space, loss: Loss, sampler: SamplerName, trials: int) -> list[float]:
    """The true loss of the incumbent, for each seed."""
    return [Cluster(make_study(space, sampler, trials=trials, seed=s), loss, WAVE).run_in_waves().best() for s in SEEDS]


@pytest.mark.parametrize(
    "space, loss, trials, enough",
    [(BRANIN, branin, 24, 0.45), (HARTMANN6, hartmann6, 40, -2.7), (MIXED, mixed, 32, 0.45)],
    ids=["Branin", "Hartmann6", "mixed"],
)
def test_gp_beats_random_search(space: Space, loss: Loss, trials: int, enough: float) -> None:
    by_gp, by_chance = (best_losses(space, loss, sampler, trials) for sampler in ("GP", "Random"))
    assert median(by_gp) < enough
    assert median(by_gp) < np.quantile(by_chance, 0.25)


def test_diverged_runs_do_not_destroy_the_model() -> None:
    """A fifth of the box ends at values like 1e6 to 1e12, as a too large learning rate does."""

    def diverging(p: Parameters, resource: int) -> float:
        return 10 ** (6 + float(p["y"]) / 2.5) if float(p["y"]) > 12 else branin(p)

    assert median(best_losses(BRANIN, diverging, "GP", 24)) < 0.6


def test_failed_runs_are_avoided() -> None:
    """Half of the box fails; few of the model's suggestions may go there."""
    shares = []
    for seed in SEEDS:
        cluster = Cluster(make_study(BRANIN, "GP", trials=24, seed=seed), branin, WAVE)
        cluster.fails = lambda index, c=cluster: float(c.trials[index].parameters["x"]) > 2.5  # type: ignore[misc]
        cluster.run_in_waves()
        late = [trial for trial in cluster.trials.values() if trial.index >= 8]
        shares.append(sum(trial.state is TrialState.FAILED for trial in late) / len(late))
    assert median(shares) < 0.3


def test_noise_is_survived() -> None:
    """With a noise of a tenth of the range, the true loss of the incumbent beats that of random search's incumbent."""

    def noisy(p: Parameters, resource: int) -> float:
        return hartmann6(p) + 0.3 * np.random.default_rng(zlib.crc32(repr(p).encode())).normal()

    def true_loss(sampler: SamplerName, seed: int) -> float:
        study = make_study(HARTMANN6, sampler, trials=40, seed=seed)
        best = incumbent(study, Cluster(study, noisy, WAVE).run_in_waves().trials.values())
        assert best is not None
        return hartmann6(best.parameters)

    by_gp, by_chance = (median(true_loss(sampler, seed) for seed in SEEDS) for sampler in ("GP", "Random"))
    assert by_gp < by_chance
