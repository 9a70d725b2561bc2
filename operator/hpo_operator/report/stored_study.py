"""A study and its trials out of their objects, typed, and as the engine sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hpo_engine.study import Study
from hpo_engine.trial import Trial
from hpo_operator.api import engine_study
from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study, parse_trial
from hpo_operator.api.study import Study as StudyObject
from hpo_operator.api.trial import HpoTrial
from hpo_operator.reconcile.snapshot import Snapshot
from hpo_operator.reconcile.trial_state import engine_trial, view_trial

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class StoredStudy:
    """``study`` and ``trials`` are the engine's, ``objects`` the API's, both in the order of their indices.

    ``seconds``: training time by trial, where each of its measurements tells it. ``notes``: what was left out, and why.
    """

    name: str
    study: Study
    trials: tuple[Trial, ...]
    seconds: Mapping[int, float]
    notes: tuple[str, ...]
    object: StudyObject
    objects: tuple[HpoTrial, ...] = field(default=())


def understood(raw: Raw, raw_trials: Sequence[Raw], now: datetime) -> StoredStudy:
    """Trials that cannot be read are left out, and told of.

    Raises:
        InvalidObject: the study is none.
    """
    parsed = parse_study(raw)
    found, seconds, notes = [], {}, []
    for raw_trial in raw_trials:
        try:
            trial = parse_trial(raw_trial)
            parameters = engine_study.from_text(parsed.spec, trial.spec.parameters)
        except (InvalidObject, ValueError) as error:
            notes.append(f"{(raw_trial.get('metadata') or {}).get('name', 'a trial')} is left out: {error}")
            continue
        view = view_trial(trial, parsed.spec, {}, Snapshot(raw), 0, now)
        found.append((trial, engine_trial(view, parameters)))
        times = [m.seconds for m in trial.status.measurements]
        if times and None not in times:
            seconds[trial.spec.index] = sum(time for time in times if time is not None)
    found.sort(key=lambda pair: pair[1].index)
    return StoredStudy(
        parsed.name,
        engine_study.engine_study(parsed.spec),
        tuple(trial for _, trial in found),
        seconds,
        tuple(notes),
        parsed,
        tuple(trial for trial, _ in found),
    )
