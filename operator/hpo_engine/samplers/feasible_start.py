"""Space-filling suggestions that keep away from where trials failed.

Before there is a model of the objective, and wherever one is of no use, suggestions are Sobol points. Once trials have
failed for reasons of their configuration, a point that more likely than not fails as well is replaced by a random one
that does not: the cheapest way not to spend the initial design on what cannot be trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

from hpo_engine.acquisition.beliefs import Beliefs
from hpo_engine.acquisition.factors import LogFactor, total
from hpo_engine.rationale import Rationale
from hpo_engine.samplers.base import History, keys
from hpo_engine.samplers.earlier_studies import best_of_earlier
from hpo_engine.samplers.sobol import SobolSampler, sobol_point
from hpo_engine.seeding import Purpose, rng
from hpo_engine.study import Study
from hpo_engine.trial import Parameters, Trial

LIKELY = log(0.75)
"""A replacement is the first that is feasible with this probability, or else the likeliest."""
DOUBTFUL = log(0.5)
DRAWS = 256


class FeasibleStart:
    """Sobol point ``index`` if it is likely to be feasible under ``factors``, else a random point that is."""

    def __init__(self, study: Study, history: History, factors: Sequence[LogFactor]) -> None:
        self._study, self._factors = study, factors
        self._used = history.used(study.space)
        self._sobol = SobolSampler(study, history)

    def suggest(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        space, suggested = self._study.space, self._known_good(index, pending) or self._sobol.suggest(index, pending)
        if suggested is None or not self._factors:
            return suggested
        if total(self._factors, space.encode(suggested[0])[None, :])[0] >= DOUBTFUL:
            return suggested
        latent = rng(self._study.seed, Purpose.FEASIBLE, index).random((DRAWS, space.dimension))
        chances = total(self._factors, space.snap(latent))
        order = np.argsort(-np.minimum(chances, LIKELY), kind="stable")
        used = self._used | keys(space, pending)
        for i in order:
            parameters = space.decode(latent[i])
            if space.key(parameters) not in used:
                return parameters, Rationale("Random")
        return suggested

    def _known_good(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        """Every other point is one of the best of earlier studies, or where the user believes the best to be."""
        study = self._study
        if index % 2 == 1 or not (study.earlier or study.beliefs):
            return None
        used = self._used | keys(study.space, pending)
        for parameters in best_of_earlier(study):
            if study.space.key(parameters) not in used:
                return parameters, Rationale("Earlier")
        latent = sobol_point(study.space.dimension, study.seed, index)
        parameters = study.space.decode(Beliefs(study.space, study.beliefs).placed(latent))
        return (parameters, Rationale("Sobol")) if study.space.key(parameters) not in used else None
