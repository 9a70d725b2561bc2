"""The user's own configurations first, then whatever the sampler suggests."""

from __future__ import annotations

from collections.abc import Sequence

from hpo_engine.rationale import Rationale
from hpo_engine.samplers.base import History, Sampler, keys
from hpo_engine.study import Study
from hpo_engine.trial import Parameters, Trial


class GivenPoints:
    """Trial i tries the study's i-th initial point, unless that was tried before."""

    def __init__(self, study: Study, history: History, sampler: Sampler) -> None:
        self._study, self._sampler = study, sampler
        self._used = history.used(study.space)

    @property
    def notes(self) -> tuple[str, ...]:
        return self._sampler.notes

    def suggest(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        space, points = self._study.space, self._study.initial_points
        if index < len(points) and space.key(points[index]) not in self._used | keys(space, pending):
            return points[index], Rationale("Given")
        return self._sampler.suggest(index, pending)
