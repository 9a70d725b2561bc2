"""A study's trials as experiment trackers see runs: parameters, series of metrics over the resource, an end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hpo_engine.trial import Trial, Value
from hpo_operator.api.trial import HpoTrial
from hpo_operator.reconcile.trial_status import ENDED
from hpo_operator.report.stored_study import StoredStudy


@dataclass(frozen=True)
class RunHistory:
    """``series``: by metric, value by resource, ascending. Values that are not finite are left out."""

    name: str
    parameters: Mapping[str, Value]
    series: Mapping[str, Mapping[int, float]]
    phase: str
    tags: Mapping[str, str]
    began: datetime
    ended: datetime

    def steps(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Resource by resource: all metrics that were measured there."""
        for resource in sorted({resource for values in self.series.values() for resource in values}):
            yield resource, {name: values[resource] for name, values in self.series.items() if resource in values}


def run_histories(stored: StoredStudy) -> list[RunHistory]:
    """Of all trials that ended, in the order of their numbers."""
    pairs = zip(stored.trials, stored.objects, strict=True)
    metric = stored.object.spec.objective.metric
    return [_history(metric, trial, found) for trial, found in pairs if found.status.phase in ENDED]


def _history(metric: str, trial: Trial, found: HpoTrial) -> RunHistory:
    status = found.status
    series: dict[str, dict[int, float]] = {metric: {point.resource: point.value for point in status.curve}}
    for measured in status.measurements:
        for name, value in {**measured.metrics, metric: measured.value}.items():
            series.setdefault(name, {})[measured.resource] = value
    finite = {
        name: {resource: values[resource] for resource in sorted(values) if math.isfinite(values[resource])}
        for name, values in series.items()
    }
    origin = found.spec.rationale.origin if found.spec.rationale else ""
    tags = {"phase": status.phase, "reason": status.reason, "rung": str(found.spec.rung), "origin": origin}
    began = _time(status.start_time)
    return RunHistory(
        found.name,
        dict(trial.parameters),
        finite,
        status.phase,
        {name: value for name, value in tags.items() if value},
        began,
        max(began, _time(status.completion_time)),
    )


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.fromtimestamp(0, UTC)
