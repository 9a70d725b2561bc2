"""Trials and studies as flat records, and the ways to write them: a table, JSON, YAML, CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import yaml

from hpo_operator.cli.objects import Raw, StudyObjects

Record = dict[str, Any]
NESTED = ("parameters", "metrics")
"""Fields that hold a mapping; in CSV and tables each of its keys is a column."""


class Format(StrEnum):
    TABLE, JSON, CSV, YAML = "table", "json", "csv", "yaml"


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


def written(records: Sequence[Record], form: Format, columns: Sequence[str] = ()) -> str:
    """``columns`` of a table, parameters among them by ``parameters``; every other format has all fields."""
    if form is Format.JSON:
        return json.dumps(records, indent=2) + "\n"
    if form is Format.YAML:
        return yaml.safe_dump(list(records), sort_keys=False, allow_unicode=True)
    flat = [_flat(record) for record in records]
    if form is Format.CSV:
        return _csv(flat)
    return _table([_flat({key: record[key] for key in columns}, prefix=False) for record in records], columns)


def _flat(record: Mapping[str, Any], prefix: bool = True) -> Record:
    flat: Record = {}
    for key, value in record.items():
        if key in NESTED:
            flat |= {f"{key}.{name}" if prefix else name: inner for name, inner in value.items()}
        else:
            flat[key] = value
    return flat


def _headings(flat: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(key for record in flat for key in record))


def _csv(flat: Sequence[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _headings(flat), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _table(flat: Sequence[Record], columns: Sequence[str]) -> str:
    """As kubectl prints one: capitals, three spaces between columns, no frame. Parameters keep their names."""
    headings = _headings(flat)
    rows = [[re.sub("([A-Z])", r"-\1", name).upper() if name in columns else name for name in headings]]
    rows += [[_cell(record.get(heading)) for heading in headings] for record in flat]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
