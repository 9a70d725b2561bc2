"""What earlier studies of the same space contribute: points to begin with, and a first guess of the function."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import numpy as np
from scipy.linalg import LinAlgError

from hpo_engine.memory import Memory
from hpo_engine.prior_knowledge import usable
from hpo_engine.seeding import Purpose, rng
from hpo_engine.study import Study
from hpo_engine.surrogate.fitting import fit_surrogate
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.outputs import fit_outputs
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.surrogate.warm_start import Guess, Shifted, ranking_weights
from hpo_engine.trial import Parameters

FEWEST, MOST = 4, 200
"""Trials of an earlier study that a surrogate is made of; of more, a spread over all ranks."""
BEST = 2
"""Configurations that each study offers to begin with."""


def best_of_earlier(study: Study) -> Iterator[Parameters]:
    """The best of each earlier study, then the second of each, and so on."""
    ranked = []
    for earlier in study.earlier:
        parameters, losses = usable(study.space, earlier)
        ranked.append([parameters[i] for i in np.argsort(losses, kind="stable")[:BEST]])
    for row in zip_longest(*ranked):
        yield from (parameters for parameters in row if parameters is not None)


def with_earlier(study: Study, own: Posterior, memory: Memory) -> Posterior:
    """``own`` with the earlier studies as prior mean, as far as they rank its points alike; else ``own`` itself.

    Raises:
        LinAlgError: there is no positive definite covariance.
    """
    earlier = memory.recall("earlier", study.earlier, lambda: earlier_surrogates(study))
    if not earlier:
        return own
    weights = ranking_weights(own, earlier, rng(study.seed, Purpose.EARLIER))
    if not np.any(weights > 0):
        return own
    guess = Guess(weights, earlier)
    generator, left = rng(study.seed, Purpose.FIT), own.y - guess.means(own.X)
    fit = fit_surrogate(study.sampler.kernel, metrics(study.space), own.X, left, generator)
    return Shifted.by(guess, fit.posterior)


def earlier_surrogates(study: Study) -> tuple[Posterior, ...]:
    """One for each earlier study with enough usable trials; those that cannot be made are left out."""
    surrogates = []
    for i, earlier in enumerate(study.earlier):
        parameters, losses = usable(study.space, earlier)
        if len(losses) < FEWEST:
            continue
        ranks = np.argsort(losses, kind="stable")
        ranks = ranks[np.unique(np.linspace(0, len(ranks) - 1, MOST).round().astype(np.int64))]
        X, chosen = np.array([study.space.encode(parameters[r]) for r in ranks]), np.array(losses)[ranks]
        y, generator = fit_outputs(chosen).forward(chosen), rng(study.seed, Purpose.EARLIER, i + 1)
        try:
            surrogates.append(fit_surrogate(study.sampler.kernel, metrics(study.space), X, y, generator).posterior)
        except LinAlgError:
            continue
    return tuple(surrogates)
