"""The last words of a trainer: the measurement or the failure in its termination message (docs/trainer-contract.md).

Text from a container is untrusted: whatever it holds, the answer is a report, a failure or None, never an exception.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_METRICS = 64


@dataclass(frozen=True)
class Report:
    """A measurement line. ``value`` is finite."""

    value: float
    metrics: dict[str, float] = field(default_factory=dict)
    resource: int | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True)
class Refusal:
    """A failure line, or a measurement that cannot be used."""

    reason: str
    message: str


def read_final_message(text: str, objective: str) -> Report | Refusal | None:
    """The last line that is a JSON object with the key ``hpo``; None when there is none."""
    for line in reversed(text.splitlines()):
        if line.lstrip().startswith("{"):
            try:
                data = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(data, dict) and "hpo" in data:
                return _interpret(data, objective)
    return None


def _interpret(data: Mapping[str, Any], objective: str) -> Report | Refusal:
    if data["hpo"] == "failure":
        return Refusal(_word(data.get("reason")), str(data.get("message", ""))[:2048])
    if data["hpo"] != "measurement":
        return Refusal("InvalidMeasurement", f"expected hpo to be measurement or failure, found {_shown(data['hpo'])}")
    metrics = data.get("metrics")
    if not isinstance(metrics, dict):
        return Refusal("InvalidMeasurement", f"expected metrics to be an object, found {_shown(metrics)}")
    if objective not in metrics:
        known = ", ".join(sorted(map(str, metrics))[:8]) or "none"
        return Refusal("MetricMissing", f"expected the metric {objective!r} in the measurement, found {known}")
    value = _number(metrics[objective])
    if value is None:
        return Refusal(
            "InvalidMeasurement", f"expected a finite number for {objective!r}, found {_shown(metrics[objective])}"
        )
    finite = {str(k)[:128]: n for k, v in list(metrics.items())[:MAX_METRICS] if (n := _number(v)) is not None}
    return Report(
        value, finite, _whole(data.get("resource")), _number(data.get("seconds")), _whole(data.get("peakMemoryBytes"))
    )


def _number(value: object) -> float | None:
    """A finite float, or None. Booleans are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _word(reason: object) -> str:
    text = str(reason) if isinstance(reason, str) else ""
    return text[:64] if text.isalnum() else "Error"


def _shown(value: object) -> str:
    return repr(value)[:80]
