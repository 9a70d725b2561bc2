"""The tree-structured Parzen estimator with one density over all parameters, as BOHB has it.

Falkner et al. 2018, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", section 3.2 and algorithm 2.
The trials measured at the highest resource that has N_min + 2 of them are split: the best are the data of the density
l(x), the worst those of g(x) (eqs. 3 and 4 there). Candidates are drawn from l with wider kernels, and the one of the
largest l(x)/g(x) is suggested, which is that of the largest expected improvement (Bergstra et al. 2011, eq. 7). Every
third suggestion or so is space-filling instead, which keeps the convergence of random search. With the scheduler
Hyperband this is BOHB, in parallel.

Trials without an outcome count as bad: those that run are the constant liar's (Ginsbourger et al. 2010), and keep the
next suggestion away; those that failed because of their configuration are bad for good. Neither moves the split.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hpo_engine.parameters import FloatArray
from hpo_engine.rationale import Rationale
from hpo_engine.samplers.base import History, keys
from hpo_engine.samplers.observations import fewest_points, initial_trials, model_resource, observe, unresolved
from hpo_engine.samplers.sobol import SobolSampler
from hpo_engine.seeding import Purpose, rng
from hpo_engine.study import Study
from hpo_engine.surrogate.density import Density
from hpo_engine.trial import Parameters, Trial

GOOD = 0.15
"""γ: the share of the trials that are called good."""
RANDOM = 1 / 3
"""ρ: the share of the suggestions that do not ask the model."""
CANDIDATES = 64
BANDWIDTH_FACTOR = 3.0
"""Candidates are drawn this much wider than the good density is, or else they would all be where good ones were."""


@dataclass(frozen=True)
class Split:
    """Encodings (l, d) of the good trials at ``resource`` and (g, d) of the bad ones, both best first."""

    resource: int
    good: FloatArray
    bad: FloatArray


class TPESampler:
    """Sobol points until enough is measured, then candidates of the good density, ranked by l/g."""

    def __init__(self, study: Study, history: History) -> None:
        self._study, self._history = study, history
        self._initial = SobolSampler(study, history)
        self._used = history.used(study.space)
        self.notes: tuple[str, ...] = ()

    def suggest(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        generator = rng(self._study.seed, Purpose.CANDIDATES, index)
        split = self._split
        if index < initial_trials(self._study) or split is None or generator.random() < RANDOM:
            return self._initial.suggest(index, pending)
        space, used = self._study.space, self._used | keys(self._study.space, pending)
        good = Density(space, split.good)
        bad = Density(space, np.vstack([split.bad, unresolved(self._study, self._history, pending, split.resource)]))
        candidates = good.draw(CANDIDATES, BANDWIDTH_FACTOR, generator)
        encoded = space.snap(candidates)
        ratios = good.log(encoded) - bad.log(encoded)
        for i in np.argsort(-ratios, kind="stable"):
            parameters = space.decode(candidates[i])
            if space.key(parameters) not in used:
                return parameters, Rationale("TPE", acquisition=float(ratios[i]))
        return self._initial.suggest(index, pending)

    @cached_property
    def _split(self) -> Split | None:
        """Good and bad, once for all suggestions of a plan; None while too little is measured."""
        resource = model_resource(self._study, self._history, more=2)
        if resource is None:
            return None
        seen = observe(self._study, self._history, resource)
        n, fewest = len(seen.losses), fewest_points(self._study)
        ranked = seen.X[np.argsort(seen.losses, kind="stable")]
        good = max(fewest, math.floor(GOOD * n))
        bad = max(fewest, n - good)
        return Split(resource, ranked[:good], np.vstack([ranked[n - bad :], seen.condemned]))
