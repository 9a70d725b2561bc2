"""When each thing became known: decisions are counted, and what a decision is the first to see gets its number.

The count is a logical clock (Lamport 1978, "Time, Clocks, and the Ordering of Events in a Distributed System"), and
stored nowhere: the next number is one more than the largest in any trial. A decision puts the statuses before it acts,
so whatever a step was decided from is stored, with a number of at most its own, before the step is. A decision that
was performed in part leaves the first of its steps; the rest is decided again, with a number of its own.

The digest of a trial grows with what decisions are told of it, and is never worked out anew from what is stored: what
is changed behind the operator's back does not match it any more.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from hpo_operator.api.trial import HpoTrial, Measurement, TrialStatus, WatchedPoint

Item = TypeVar("Item", Measurement, WatchedPoint)


def next_decision(trials: Iterable[HpoTrial]) -> int:
    """The number of the decision that is about to be made."""
    return 1 + max((number for trial in trials for number in _numbers(trial)), default=0)


def recorded(trial: HpoTrial, stopped: bool, decision: int) -> HpoTrial:
    """The trial with everything numbered that ``decision`` is the first to know."""
    status = trial.status
    changes: dict[str, Any] = {}
    if any(item.decision is None for item in status.measurements):
        changes["measurements"] = _numbered(status.measurements, decision)
    if any(item.decision is None for item in status.watched):
        changes["watched"] = _numbered(status.watched, decision)
    if status.failure is not None and status.failure.decision is None:
        changes["failure"] = status.failure.model_copy(update={"decision": decision})
    if stopped and status.stopped_in is None:
        changes["stopped_in"] = decision
    if status.found_in is None and not any(step.kind == "Start" for step in trial.spec.steps):
        changes["found_in"] = decision
    if not changes:
        return trial
    numbered = status.model_copy(update=changes)
    told = _told(numbered)[decision]
    digest = _extended(status.digest, decision, told)
    return trial.model_copy(update={"status": numbered.model_copy(update={"digest": digest})})


def expected_digest(status: TrialStatus) -> str:
    """The digest that belongs to what is stored."""
    digest = ""
    for decision, told in sorted(_told(status).items()):
        digest = _extended(digest, decision, told)
    return digest


def _numbered(items: Sequence[Item], decision: int) -> list[Item]:
    return [item.model_copy(update={"decision": item.decision or decision}) for item in items]


def _extended(digest: str, decision: int, told: list[Any]) -> str:
    text = json.dumps([digest, decision, told], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _told(status: TrialStatus) -> Mapping[int, list[Any]]:
    """By the number of a decision, all that it was the first to know of this trial."""
    found: defaultdict[int, list[Any]] = defaultdict(list)
    items: list[Measurement | WatchedPoint] = [*status.measurements, *status.watched]
    for item in items:
        if item.decision is not None:
            found[item.decision].append([type(item).__name__, item.dump()])
    if status.failure is not None and status.failure.decision is not None:
        found[status.failure.decision].append(["failure", status.failure.dump()])
    for name, decision in (("found", status.found_in), ("stopped", status.stopped_in)):
        if decision is not None:
            found[decision].append([name])
    return found


def observed_by(status: TrialStatus) -> Iterator[int]:
    """The decisions that were the first to know something of the trial."""
    yield from (m.decision for m in status.measurements if m.decision is not None)
    yield from (p.decision for p in status.watched if p.decision is not None)
    yield from (number for number in (status.found_in, status.stopped_in) if number is not None)
    if status.failure is not None and status.failure.decision is not None:
        yield status.failure.decision


def _numbers(trial: HpoTrial) -> Iterator[int]:
    yield from (step.decision for step in trial.spec.steps)
    yield from observed_by(trial.status)
