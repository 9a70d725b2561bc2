"""An objective that a Prometheus server is asked for: the question about an ended Pod, and what an answer means.

The question is of one instant, the end of the Pod: whenever it is asked, and however often, the answer is the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from hpo_operator.api.study import StudySpec
from hpo_operator.api.trial import HpoTrial
from hpo_operator.reconcile.pod_facts import PodFacts

SETTLE_SECONDS = 2
"""What Prometheus scraped last of the Pod is not asked for before this long after its end: it may still be stored."""


@dataclass(frozen=True)
class Question:
    """``text`` is PromQL, ``at`` the instant it is asked of, both complete; ``server`` a name of the installation's."""

    pod: str
    server: str
    text: str
    at: str
    timeout_seconds: int


@dataclass(frozen=True)
class Found:
    """The value of the one series of the result; finite."""

    value: float


@dataclass(frozen=True)
class Unusable:
    """An answer without a value, which would be the same another time."""

    message: str


@dataclass(frozen=True)
class Unanswered:
    """The server could not answer; it is asked again."""

    message: str


Answer = Found | Unusable | Unanswered


def question(trial: HpoTrial, spec: StudySpec, namespace: str, pod: PodFacts) -> Question | None:
    """What to ask about a Pod that ended; None where the study asks nobody."""
    asked = spec.objective.prometheus
    if asked is None or pod.finished is None:
        return None
    text = asked.query
    words = {"namespace": namespace, "study": trial.spec.study, "trial": trial.name, "pod": pod.name}
    for name, value in words.items():  # names of Kubernetes objects: nothing in them ends a PromQL string
        text = text.replace(f"$({name})", value)
    return Question(pod.name, asked.server, text, pod.finished, asked.timeout_seconds)


def read_answer(status: int, body: bytes) -> Answer:
    """What a server said to ``GET /api/v1/query`` (prometheus.io/docs/prometheus/latest/querying/api)."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, Mapping):
        return Unanswered(f"HTTP {status} without JSON: is this a Prometheus server?")
    if status in (400, 422):  # what it cannot parse, what it cannot execute
        return Unusable(f"the query was refused: {str(said.get('error'))[:500]}")
    if status != 200 or said.get("status") != "success":
        return Unanswered(f"HTTP {status}: {str(said.get('error'))[:500]}")
    return _read_result(said.get("data"))


def _read_result(data: object) -> Answer:
    kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, Mapping) else (None, None)
    if kind == "scalar":
        return _read_value(result)
    if kind != "vector" or not isinstance(result, list):
        return Unusable(f"expected an instant vector or a scalar, found {str(kind)[:80]}")
    if len(result) != 1:
        return Unusable(f"expected one series, found {len(result) or 'none'}")
    return _read_value(result[0].get("value") if isinstance(result[0], Mapping) else None)


def _read_value(point: object) -> Answer:
    """``point``: [time, "value"]."""
    try:
        value = float(point[1])  # type: ignore[index]
    except (TypeError, ValueError, LookupError):
        return Unusable("expected a number")
    return Found(value) if math.isfinite(value) else Unusable(f"expected a finite number, found {value}")
