"""What every sampler is: a rule that turns a history into one more configuration, the same whenever it is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hpo_engine.errors import StudyError
from hpo_engine.rationale import Rationale
from hpo_engine.space import Space
from hpo_engine.study import Study
from hpo_engine.trial import Parameters, Trial


@dataclass(frozen=True)
class History:
    """A study's trials in the order of their indices.

    ``strangers``: (index, why) of trials whose parameters are no configuration of the space, as can happen to those
    made by hand. They are never models' data.
    """

    trials: tuple[Trial, ...]
    members: tuple[Trial, ...]
    strangers: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, study: Study, trials: Collection[Trial]) -> History:
        ordered = tuple(sorted(trials, key=lambda trial: trial.index))
        members, strangers = [], []
        for trial in ordered:
            try:
                study.space.check(trial.parameters)
                members.append(trial)
            except StudyError as error:
                strangers.append((trial.index, str(error)))
        return cls(ordered, tuple(members), tuple(strangers))

    def used(self, space: Space) -> set[str]:
        """Keys of the configurations that were tried, in whatever way the trial ended."""
        return keys(space, self.members)


class Sampler(Protocol):
    """Suggests configurations for one study and one history, both given at construction.

    A sampler is made anew for each plan, so what it keeps between suggestions never outlives its history.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the suggestions made so far, such as a model that could not be fitted."""

    def suggest(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        """A configuration for trial ``index``, different from all in the history and in ``pending``.

        ``pending``: trials suggested just now, in ascending order. Together with those of the history that run they
        are all that the suggestion may depend on. None: every configuration of the space was used.
        """


def keys(space: Space, trials: Iterable[Trial]) -> set[str]:
    return {space.key(trial.parameters) for trial in trials}
