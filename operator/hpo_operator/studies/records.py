"""Trials and studies as flat records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hpo_operator.studies.objects import Raw, StudyObjects

Record = dict[str, Any]


def trial_record(trial: Raw) -> Record:
    """What came of a trial, by the latest measurement; without one, by the latest sample."""
    spec, status = trial["spec"], trial.get("status") or {}
    measurements = status.get("measurements") or []
    latest = measurements[-1] if measurements else {}
    return {
        "trial": trial["metadata"]["name"],
        "index": spec["index"],
        "phase": status.get("phase", "Pending"),
        "reason": status.get("reason", ""),
        "value": latest.get("value", status.get("objective")),
        "resource": latest.get("resource", status.get("resource", 0)),
        "rung": spec.get("rung", 0),
        "origin": (spec.get("rationale") or {}).get("origin", ""),
        "seconds": sum(m.get("seconds") or 0.0 for m in measurements),
        "gpuSeconds": status.get("gpuSeconds", 0.0),
        "interruptions": status.get("interruptions", 0),
        "message": (status.get("failure") or {}).get("message") or status.get("message", ""),
        "parameters": dict(spec.get("parameters") or {}),
        "metrics": dict(latest.get("metrics") or {}),
    }


def study_record(found: StudyObjects) -> Record:
    status = found.study.get("status") or {}
    best = status.get("best") or {}
    return {
        "study": found.name,
        "phase": status.get("phase", "Pending"),
        "algorithm": status.get("algorithm", ""),
        "metric": found.objective.get("metric", ""),
        "best": best.get("value"),
        "bestTrial": best.get("trial", ""),
        "progress": status.get("progress", ""),
        "failed": (status.get("trials") or {}).get("failed", 0),
        "reason": status.get("reason", ""),
    }


def best_first(records: Iterable[Record], maximize: bool) -> list[Record]:
    """By resource first: what was trained for longer is better for a reason that is not its own. No value: last."""

    def key(record: Record) -> tuple[bool, float, float]:
        value = record["value"]
        missing = value is None or record["phase"] == "Failed"
        return missing, -record["resource"], 0.0 if value is None else -value if maximize else value

    return sorted(records, key=key)
