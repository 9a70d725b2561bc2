"""What every sampler is: a rule that turns a history into one more configuration, the same whenever it is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from hpo_engine.errors import StudyError
from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray
from hpo_engine.rationale import Rationale
from hpo_engine.space import Space
from hpo_engine.study import Study
from hpo_engine.trial import Parameters, Trial


@dataclass(frozen=True)
class Known:
    """What follows from one trial's parameters: why they are no configuration (None: they are), key and encoding."""

    parameters: Parameters
    kinds: tuple[type, ...]
    why: str | None
    key: str
    encoding: FloatArray

    def is_about(self, parameters: Parameters) -> bool:
        """1 and 1.0 are equal, but only one of them is an integer."""
        if self.parameters is parameters:
            return True
        return self.parameters == parameters and self.kinds == tuple(map(type, parameters.values()))


@dataclass(frozen=True)
class History:
    """A study's trials in the order of their indices.

    ``members``: those whose parameters are a configuration of the space, with all that is ``known`` of them.
    ``strangers``: (index, why) of the others, as can happen to trials made by hand. They are never models' data.
    """

    trials: tuple[Trial, ...]
    members: tuple[Trial, ...]
    known: tuple[Known, ...]
    strangers: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, study: Study, trials: Collection[Trial], memory: Memory | None = None) -> History:
        """``memory`` keeps what is known of every trial until its parameters change."""
        ordered = tuple(sorted(trials, key=lambda trial: trial.index))
        kept = _kept(study.space, memory or Memory())
        members, known, strangers = [], [], []
        for trial in ordered:
            this = kept.get(trial.index)
            if this is None or not this.is_about(trial.parameters):
                this = kept[trial.index] = _learnt(study.space, trial.parameters)
            if this.why is None:
                members.append(trial)
                known.append(this)
            else:
                strangers.append((trial.index, this.why))
        return cls(ordered, tuple(members), tuple(known), tuple(strangers))

    def going_on(self, told: Mapping[int, Trial]) -> History:
        """The same after the trials ``told`` (by index) were told to go on."""
        trials, members = (tuple(told.get(t.index, t) for t in of) for of in (self.trials, self.members))
        return replace(self, trials=trials, members=members) if told else self

    def used(self, space: Space) -> set[str]:
        """Keys of the configurations that were tried, in whatever way the trial ended."""
        return set(self._keys)

    @cached_property
    def encodings(self) -> FloatArray:
        """Encodings (n, d) of the members."""
        return np.array([known.encoding for known in self.known]).reshape(len(self.known), -1)

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(known.key for known in self.known)


def _kept(space: Space, memory: Memory) -> dict[int, Known]:
    """What is known by index; the dictionary goes on being filled."""
    last = memory.last("trials")
    if isinstance(last, tuple) and last[0] == space:
        known: dict[int, Known] = last[1]
    else:
        known = {}
        memory.keep("trials", (space, known))
    return known


def _learnt(space: Space, parameters: Parameters) -> Known:
    """With a copy of the parameters: a caller may change the dictionary that it gave."""
    copy, kinds = dict(parameters), tuple(map(type, parameters.values()))
    try:
        space.check(parameters)
    except StudyError as error:
        return Known(copy, kinds, str(error), "", np.empty(0))
    return Known(copy, kinds, None, space.key(parameters), space.encode(parameters))


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
