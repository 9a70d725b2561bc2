"""Every trial as it should stand now, and its place in the engine. What rests is not worked out again.

Of a study's trials nearly all have ended, or wait at a rung, from one decision to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hpo_engine.memory import Memory
from hpo_engine.trial import Trial, TrialState
from hpo_operator.api.study import StudySpec
from hpo_operator.api.trial import TrialStatus
from hpo_operator.reconcile.pod_facts import PodFacts
from hpo_operator.reconcile.readings import TrialReading
from hpo_operator.reconcile.trial_state import TrialView, current_pod, engine_trial
from hpo_operator.reconcile.trial_status import is_promotable, trial_status


@dataclass(slots=True)
class Place:
    """``trial``: what the engine knows of it. ``is_told``: whether its status, as it is stored, says for good how it
    ended."""

    reading: TrialReading
    view: TrialView
    trial: Trial
    is_told: bool = False

    @property
    def rests(self) -> bool:
        """Whether the view follows from the reading and the Pod alone, whatever the time, and stores nothing new."""
        return self.view.state is not TrialState.RUNNING and self.view.trial is self.reading.trial

    def status(self, spec: StudySpec, study_ended: bool, now: datetime) -> TrialStatus:
        """See ``trial_status``."""
        stored = self.reading.trial.status
        if self.is_told:
            return stored
        status = trial_status(self.view, spec, study_ended, now)
        for_good = self.view.state is not TrialState.REPORTED or not is_promotable(self.view.trial, spec)
        self.is_told = self.rests and for_good and status is stored
        return status


def placed(
    readings: Sequence[TrialReading],
    pods: Mapping[str, PodFacts],
    watched: bool,
    memory: Memory | None,
    view: Callable[[TrialReading], TrialView],
) -> list[Place]:
    """The places in the order of ``readings``. ``watched``: see ``engine_trial``.

    What the memory holds of the very same reading and the same Pod is used again. All else that ``view`` depends on
    must be the same as long as readings are.
    """
    last: Any = memory.last("places") if memory is not None else None
    before: Mapping[int, Place] = last or {}
    places = []
    for reading in readings:
        kept = before.get(id(reading))  # it holds the reading, so that no other one can have its id
        if kept is None or kept.view.pod is not pods.get(current_pod(reading.trial)):
            seen = view(reading)
            kept = Place(reading, seen, engine_trial(seen, reading.values, watched))
        places.append(kept)
    if memory is not None:
        memory.keep("places", {id(place.reading): place for place in places if place.rests})
    return places
