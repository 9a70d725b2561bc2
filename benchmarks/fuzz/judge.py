"""One mutant through every layer of this repository: parser, schema, CEL, and the simulated cluster to its end."""

from __future__ import annotations

import copy
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from api.test_layers import assert_twins_agree, refused_by
from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study
from reconcile.objects import measured
from reconcile.simulation import Run, SimulatedCluster

LIMIT_SECONDS = 60
"""A mutant that takes longer hangs."""
MOST_TRIALS, MOST_AT_ONCE, MOST_STEPS = 5, 3, 400


@dataclass(frozen=True)
class Verdict:
    """``accepted``: by the parser. ``layer``: the first that refuses it on a cluster. ``end``: the study's reason.

    ``problem``: what must not happen, with its traceback; empty if all is well.
    """

    accepted: bool
    layer: str
    end: str = ""
    problem: str = ""


def judge(raw: dict[str, Any]) -> Verdict:
    """Never raises."""
    accepted, layer, end = False, "none", ""
    try:
        with _limited():
            accepted = _parsed(copy.deepcopy(raw))
            layer = _layer(raw)
            if accepted:
                assert layer == "operator", f"the parser accepts what the {layer} refuses"
                assert_twins_agree(raw["spec"])
                end = _lived(raw)
    except Exception:
        return Verdict(accepted, layer, end, traceback.format_exc(limit=-6))
    return Verdict(accepted, layer, end)


def _layer(raw: dict[str, Any]) -> str:
    """The first layer that refuses it, the decoder of an API server included: it knows 64 bits and no more.

    A status is not the user's to write: an API server drops it at creation, and the parser takes a bad one for none.
    """
    try:
        return refused_by(_decoded({key: value for key, value in raw.items() if key != "status"}))
    except OverflowError:
        return "decoder"


def _decoded(value: Any) -> Any:
    """As Go's decoder reads JSON: whole numbers beyond 64 bits as floating-point ones. Raises OverflowError."""
    if isinstance(value, dict):
        return {key: _decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def _parsed(raw: dict[str, Any]) -> bool:
    try:
        parse_study(raw)
    except InvalidObject as invalid:
        assert invalid.errors, "refused without a sentence"
        for error in invalid.errors:
            assert str(error).isprintable() and len(str(error)) < 1000, f"no sentence: {str(error)[:200]!r}"
        return False
    return True


def bounded(raw: dict[str, Any]) -> dict[str, Any]:
    """The study with a small budget."""
    small = copy.deepcopy(raw)
    budget = small["spec"]["budget"]
    budget["trials"] = min(budget["trials"], MOST_TRIALS)
    budget["parallelism"] = min(budget.get("parallelism", 1), MOST_AT_ONCE)
    if "failedTrials" in budget:
        budget["failedTrials"] = min(budget["failedTrials"] or 0, MOST_TRIALS)
    small["metadata"] |= {"uid": "study-uid", "generation": 1, "namespace": "lab"}
    small.pop("status", None)
    return small


def _lived(raw: dict[str, Any]) -> str:
    """The reason with which the study ends, or rests if it is suspended or may run nothing."""
    metric = raw["spec"]["objective"]["metric"]

    def train(parameters: dict[str, Any], resource: int) -> Run:
        value = sum(len(str(item)) * (i + 1) for i, item in enumerate(parameters.values())) % 17 + resource / 1e6
        return Run(measured(value, metric), seconds=20.0)

    cluster = SimulatedCluster(bounded(raw), train)
    cluster.run(MOST_STEPS)
    resting = raw["spec"].get("suspend") or raw["spec"]["budget"].get("parallelism") == 0
    assert resting or "completionTime" in cluster.status, f"never ends: {cluster.status}"
    return str(cluster.status["reason"])


@contextmanager
def _limited() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"no answer within {LIMIT_SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
