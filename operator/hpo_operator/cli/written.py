"""Ways to write records: a table, JSON, YAML, CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from hpo_operator.studies.records import Record
from hpo_operator.studies.study_file import yaml_text

NESTED = ("parameters", "metrics")
"""Fields that hold a mapping; in CSV and tables each of its keys is a column."""


class Format(StrEnum):
    TABLE, JSON, CSV, YAML = "table", "json", "csv", "yaml"


def written(records: Sequence[Record], form: Format, columns: Sequence[str] = ()) -> str:
    """``columns`` of a table, parameters among them by ``parameters``; every other format has all fields."""
    if form is Format.JSON:
        return json.dumps(records, indent=2) + "\n"
    if form is Format.YAML:
        return yaml_text(list(records))
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
