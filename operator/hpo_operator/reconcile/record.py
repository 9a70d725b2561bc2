"""When each thing became known: decisions are counted, and what a decision is the first to see gets its number.

The count is a logical clock (Lamport 1978, "Time, Clocks, and the Ordering of Events in a Distributed System"), and
stored nowhere: only decisions that lead to steps count, and the next number is one more than the largest of any step.
Statuses are put before steps are, so whatever a step was decided from is stored, with a number of at most its own,
before the step is. A decision that was performed in part leaves some of its steps; the rest is decided again, with the
next number.

The digest of a trial grows with what decisions are told of it, and is never worked out anew from what is stored: what
is changed behind the operator's back does not match it any more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from hpo_operator.api.trial import HpoTrial, Measurement, TrialStatus, WatchedPoint

Item = TypeVar("Item", Measurement, WatchedPoint)


def least_decision(trial: HpoTrial) -> int:
    """The next decision's number is not below this: the largest of those over all trials, and what 1 stands for."""
    return max(_least(trial), default=1)


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
    known, numbered = _told(status), status.model_copy(update=changes)
    digest = status.digest
    for item in _told(numbered):
        digest = digest if item in known else _extended(digest, item)
    return trial.model_copy(update={"status": numbered.model_copy(update={"digest": digest})})


def expected_digest(status: TrialStatus) -> str:
    """The digest that belongs to what is stored."""
    digest = ""
    for item in _told(status):
        digest = _extended(digest, item)
    return digest


def _numbered(items: Sequence[Item], decision: int) -> list[Item]:
    return [item.model_copy(update={"decision": item.decision or decision}) for item in items]


def _extended(digest: str, item: list[Any]) -> str:
    text = json.dumps([digest, item], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _told(status: TrialStatus) -> list[list[Any]]:
    """[number of a decision, place, what it was the first to know], in the order in which it became known.

    Within one number: that the trial is there, what it was watched by, its measurement, its failure or its stop.
    """
    watched = [[p.decision, 1, p.dump()] for p in status.watched if p.decision is not None]
    measured = [[m.decision, 2, m.dump()] for m in status.measurements if m.decision is not None]
    found = [] if status.found_in is None else [[status.found_in, 0, "found"]]
    stopped = [] if status.stopped_in is None else [[status.stopped_in, 4, "stopped"]]
    failed = []
    if status.failure is not None and status.failure.decision is not None:
        failed = [[status.failure.decision, 3, status.failure.dump()]]
    return sorted([*found, *watched, *measured, *failed, *stopped], key=lambda item: item[:2])


def observed_by(status: TrialStatus) -> Iterator[int]:
    """The decisions that were the first to know something of the trial."""
    yield from (m.decision for m in status.measurements if m.decision is not None)
    yield from (p.decision for p in status.watched if p.decision is not None)
    yield from (number for number in (status.found_in, status.stopped_in) if number is not None)
    if status.failure is not None and status.failure.decision is not None:
        yield status.failure.decision


def _least(trial: HpoTrial) -> Iterator[int]:
    """What the next decision's number is not below. (What was observed is only ahead of the steps after deletions.)"""
    yield from (step.decision + 1 for step in trial.spec.steps)
    yield from observed_by(trial.status)
