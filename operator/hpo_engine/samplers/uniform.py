"""Random search without repetition, and the last resort of every other sampler in a space that is nearly used up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice

import numpy as np

from hpo_engine.rationale import Rationale
from hpo_engine.samplers.base import History, keys
from hpo_engine.seeding import Purpose, rng
from hpo_engine.space import Space
from hpo_engine.study import Study
from hpo_engine.trial import Parameters, Trial

DRAWS = 256
"""Random draws before the unused configurations of a finite space are listed instead."""
LISTED = 10_000
"""Most unused configurations to list and choose from."""


class UniformSampler:
    """Each suggestion is uniform in the unit cube, given that it was not used before."""

    def __init__(self, study: Study, history: History) -> None:
        self._study = study
        self._used = history.used(study.space)
        self.notes: tuple[str, ...] = ()

    def suggest(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        space = self._study.space
        parameters = draw_unused(
            space, self._used | keys(space, pending), rng(self._study.seed, Purpose.UNIFORM, index)
        )
        return None if parameters is None else (parameters, Rationale("Random"))


def draw_unused(space: Space, used: Collection[str], generator: np.random.Generator) -> Parameters | None:
    """A random configuration whose key is not in ``used``; None when there is none left."""
    for _ in range(DRAWS):
        parameters = space.decode(generator.random(space.dimension))
        if space.key(parameters) not in used:
            return parameters
    if space.size() is None:
        return None
    unused = list(islice((c for c in space.configurations() if space.key(c) not in used), LISTED))
    return unused[int(generator.integers(len(unused)))] if unused else None
