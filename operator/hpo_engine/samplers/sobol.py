"""Scrambled Sobol points: space-filling, and addressed by the trial's index.

Point i is point i whatever was skipped or failed before it. Scrambling (Matoušek's linear matrix scramble with a
digital shift, as in scipy) makes each seed a different sequence without loss of uniformity, and keeps the first point
off the corner. Conditional parameters own their coordinate whether or not they are active.
"""

from __future__ import annotations

from collections.abc import Sequence

from hpo_engine.low_discrepancy import sobol_points
from hpo_engine.parameters import FloatArray
from hpo_engine.rationale import Rationale
from hpo_engine.samplers.base import History, keys
from hpo_engine.samplers.uniform import draw_unused
from hpo_engine.seeding import Purpose, rng
from hpo_engine.study import Study
from hpo_engine.trial import Parameters, Trial


class SobolSampler:
    """Suggests Sobol point ``index``. In a discrete space that may be used already: then a random unused one."""

    def __init__(self, study: Study, history: History) -> None:
        self._study = study
        self._used = history.used(study.space)
        self.notes: tuple[str, ...] = ()

    def suggest(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        space, seed = self._study.space, self._study.seed
        used = self._used | keys(space, pending)
        parameters = space.decode(sobol_point(space.dimension, seed, index))
        if space.key(parameters) not in used:
            return parameters, Rationale("Sobol")
        unused = draw_unused(space, used, rng(seed, Purpose.UNIFORM, index))
        return None if unused is None else (unused, Rationale("Random"))


def sobol_point(dimension: int, seed: int, index: int) -> FloatArray:
    """Point ``index`` (dimension,) of the sequence that belongs to ``seed``."""
    point: FloatArray = sobol_points(dimension, 1, rng(seed, Purpose.SOBOL), skip=index)[0]
    return point
