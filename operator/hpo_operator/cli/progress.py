"""How far a study is, in numbers: what was spent of its budget, how its best has moved, why trials failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from hpo_operator.api.study import seconds as duration_seconds
from hpo_operator.reconcile.clock import seconds_between, to_text
from hpo_operator.studies.objects import StudyObjects

Raw = Mapping[str, Any]
ENDED = ("Succeeded", "Failed", "Stopped")
ENOUGH = 3
"""Trials that must have ended before their pace says anything."""


@dataclass(frozen=True)
class Share:
    """``spent`` of ``budget``, None where there is no such budget; ``seconds`` that it lasts at the pace so far."""

    spent: float
    budget: float | None
    seconds: float | None = None


@dataclass(frozen=True)
class Progress:
    """``best``: what was measured at ``resource``, the furthest at which several trials were (0 without a fidelity), in
    the order of the decisions that knew of it, and of it the best until each.

    ``failures``: by their reason, the most frequent first.
    """

    trials: Share
    gpu_hours: Share
    wall_clock: Share
    resource: int
    best: tuple[float, ...]
    failures: Mapping[str, int]

    @property
    def seconds_left(self) -> float | None:
        """Until the first budget is spent, at the pace so far."""
        return min(
            (s.seconds for s in (self.trials, self.gpu_hours, self.wall_clock) if s.seconds is not None), default=None
        )


def progress(found: StudyObjects, now: datetime) -> Progress:
    """As of ``now``."""
    status = found.study.get("status") or {}
    budget = found.study["spec"].get("budget") or {}
    elapsed = _elapsed(status, now)
    paced = status.get("phase") == "Running"
    ended = sum((trial.get("status") or {}).get("phase") in ENDED for trial in found.trials)
    clock = budget.get("wallClock")
    limit = float(duration_seconds(clock)) if clock else None
    gpu_hours = float(status.get("gpuHours") or 0.0)
    return Progress(
        _share(ended, budget.get("trials"), elapsed if paced and ended >= ENOUGH else 0.0),
        _share(gpu_hours, budget.get("gpuHours"), elapsed if paced else 0.0),
        Share(elapsed, limit, max(0.0, limit - elapsed) if limit is not None and paced else None),
        *_best_so_far(found),
        dict(Counter(_failures(found.trials)).most_common()),
    )


def _share(spent: float, budget: float | None, elapsed: float) -> Share:
    """``elapsed``: seconds in which it was spent; 0: not to be told from."""
    if budget is None or not elapsed or not spent:
        return Share(spent, budget)
    return Share(spent, budget, max(0.0, budget - spent) * elapsed / spent)


def _elapsed(status: Raw, now: datetime) -> float:
    """Seconds since the start; while it was suspended they are not counted, as the wall clock of the budget."""
    end = status.get("completionTime") or status.get("suspendTime") or to_text(now)
    return max(0.0, seconds_between(status.get("startTime"), end) - float(status.get("suspendedSeconds") or 0.0))


def _best_so_far(found: StudyObjects) -> tuple[int, tuple[float, ...]]:
    measured = sorted(_measured(found.trials))
    compared = Counter(resource for _, resource, _ in measured)
    far = max((resource for resource, many in compared.items() if many > 1), default=0)
    better = max if found.objective.get("direction") == "Maximize" else min
    return far, tuple(accumulate((value for _, resource, value in measured if resource == far), better))


def _measured(trials: Sequence[Raw]) -> Iterator[tuple[tuple[int, int], int, float]]:
    """At each rung of each trial that has not failed: when (decision, index), resource and value."""
    for trial in trials:
        status = trial.get("status") or {}
        if status.get("phase") != "Failed":
            for measured in status.get("measurements") or ():
                yield (measured.get("decision") or 0, trial["spec"]["index"]), measured["resource"], measured["value"]


def _failures(trials: Sequence[Raw]) -> Iterator[str]:
    for trial in trials:
        status = trial.get("status") or {}
        if status.get("phase") == "Failed":
            yield (status.get("failure") or {}).get("reason") or status.get("reason") or "Error"
