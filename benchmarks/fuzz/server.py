"""Mutants on a real API server, with the operator running: the verdicts must be those of this repository's layers."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api import structural
from api.test_layers import ROOT, is_json
from fuzz.judge import bounded
from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study
from stand.control_plane import ControlPlane
from stand.operator_process import OperatorProcess

PATH = "/apis/hpo.study/v1alpha1/namespaces/default/hpostudies"
SECONDS = 300.0


@dataclass(frozen=True)
class Answers:
    """Mutants sent, refused by the API server, accepted and refused by the operator; what must not happen."""

    sent: int
    by_server: int
    accepted: int
    by_operator: int
    problems: tuple[str, ...]


def ask(plane: ControlPlane, operator: OperatorProcess, mutants: Sequence[tuple[int, dict[str, Any]]]) -> Answers:
    """Create them all and wait until the operator has judged each that the API server stored. There is no node."""
    before = operator.daemon.pid
    problems: list[str] = []
    stored: dict[str, int] = {}
    refused = sent = 0
    for seed, raw in mutants:
        if not is_json(raw) or not isinstance(raw.get("spec"), dict):
            continue
        name = f"mutant-{seed}"
        body = _creatable(raw, name)
        sent += 1
        try:
            plane.request("POST", PATH, body)
            stored[name] = seed
        except urllib.error.HTTPError as error:
            refused += 1
            said = error.read().decode(errors="replace")
            if error.code not in (400, 422):
                problems.append(f"seed {seed}: the API server says {error.code}: {said[:300]}")
            elif not structural.violations(ROOT, structural.stored(ROOT, body)):
                problems.append(f"seed {seed}: the API server refuses what our schema accepts: {said[:500]}")
    judged: dict[str, str] = {}

    def all_judged() -> bool:
        judged.update(_accepted(plane))
        return stored.keys() <= judged.keys()

    plane.wait_until(all_judged, "the operator has not judged every study", SECONDS)
    for name, seed in stored.items():
        expected = _parses(json.loads(plane.kubectl("get", "hpo", name, "-o", "json")))
        if (judged[name] == "True") is not expected:
            problems.append(f"seed {seed}: Accepted is {judged[name]}, the parser says {expected}")
    if operator.daemon.pid != before or not operator.daemon.alive():
        problems.append("the operator has ended")
    problems += [line[:2000] for line in operator.log.read_text().splitlines() if '"exception"' in line]
    accepted = sum(verdict == "True" for verdict in judged.values())
    return Answers(sent, refused, accepted, len(stored) - accepted, tuple(problems))


def _creatable(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """What of a mutant can be sent under a name of its own; with few Pods, which nobody runs."""
    body = {"apiVersion": "hpo.study/v1alpha1", "kind": "HPOStudy", "metadata": {"name": name}, "spec": raw["spec"]}
    try:
        small = bounded(body)
        return body | {"spec": small["spec"]}
    except (KeyError, TypeError, AttributeError):
        return body


def _accepted(plane: ControlPlane) -> dict[str, str]:
    """Verdict of the operator by name, of those that have one."""
    found = {}
    for study in plane.request("GET", PATH)["items"]:
        for condition in study.get("status", {}).get("conditions", []):
            if condition["type"] == "Accepted":
                found[study["metadata"]["name"]] = condition["status"]
    return found


def _parses(raw: dict[str, Any]) -> bool:
    try:
        parse_study(raw)
    except InvalidObject:
        return False
    return True
