"""Whatever a study is turned into, the answer is sentences or a study: never another exception, and never for long."""

from __future__ import annotations

import copy
import datetime
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from api import corpus
from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study, parse_study_status, parse_trial

JUNK: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**63, 10**400, float("nan"), float("inf"), "", "text", "1", "é\u200b\n", "\ud800",
    [], [None], [[]], {}, {"a": 1}, {1: 2}, {None: None}, b"bytes", datetime.date(2024, 5, 1), {1, 2}, (1, 2), 1j,
    "x" * 100_000, ["x"] * 5_000, {str(i): i for i in range(5_000)},
]  # fmt: skip

TRIAL = {
    "metadata": {"name": "s-0", "uid": "u", "generation": 1},
    "spec": {"study": "s", "index": 0, "parameters": {"x": "1"}, "resource": 3, "rationale": {"origin": "GP"}},
    "status": {
        "phase": "Waiting",
        "measurements": [{"rung": 0, "resource": 3, "value": 0.5, "metrics": {"loss": 1}, "source": "MetricsEndpoint"}],
        "conditions": [{"type": "Finished", "status": "True", "reason": "R", "lastTransitionTime": "2024-05-01"}],
    },
}  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container inside ``value`` with each of its keys or indices."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


def mutate(raw: dict[str, Any], rng: random.Random, junk: list[Any]) -> dict[str, Any]:
    """``raw`` with one to three places deleted, replaced (by ``junk`` too), renamed or doubled."""
    raw = copy.deepcopy(raw)
    for _ in range(rng.randint(1, 3)):
        container, key = rng.choice(list(places(raw)))
        match rng.choice(["delete", "replace", "replace", "replace", "rename", "double", "elsewhere"]):
            case "delete":
                del container[key]
            case "rename" if isinstance(container, dict):
                container[str(key)[:-1] + rng.choice("xyz")] = container.pop(key)
            case "double" if isinstance(container, list):
                container.append(copy.deepcopy(container[key]))
            case "elsewhere":
                other, place = rng.choice(list(places(raw)))
                container[key] = copy.deepcopy(other[place])
            case _:
                container[key] = copy.deepcopy(rng.choice(junk))
        if not raw:
            break
    return raw


def is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False


def assert_answers(parse: Any, raw: Any) -> bool:
    """Whether ``raw`` is accepted; what is said of it otherwise is made of short lines."""
    try:
        parse(raw)
    except InvalidObject as invalid:
        assert invalid.errors
        for error in invalid.errors:
            assert str(error).isprintable() and len(str(error)) < 1000
        return False
    return True


@pytest.mark.parametrize("name", ["classification", "pod", "rich_task", "rich_pod"])
def test_mutated_studies(name: str) -> None:
    rng = random.Random(name)
    accepted = [assert_answers(parse_study, mutate(corpus.study(name), rng, JUNK)) for _ in range(150)]
    assert 0 < sum(accepted) < 75


def test_mutated_trials() -> None:
    rng = random.Random(0)
    assert assert_answers(parse_trial, TRIAL)
    junk = [value for value in JUNK if is_json(value)]  # trials come from the API server alone
    accepted = [assert_answers(parse_trial, mutate(TRIAL, rng, junk)) for _ in range(250)]
    assert 0 < sum(accepted) < 150


def test_a_status_that_cannot_be_read_is_an_empty_one() -> None:
    empty = parse_study_status({})
    for junk in JUNK:
        assert parse_study_status({"status": junk}) == empty
        assert parse_study_status({"status": {"trials": junk, "unknown": 1}}) == empty


def nested(depth: int) -> Any:
    value: Any = "end"
    for i in range(depth):
        value = [value] if i % 2 else {"a": value}
    return value


def laughs(levels: int) -> Any:
    """2 ** levels values in as many lists, as YAML anchors make them."""
    value: Any = ["ha"]
    for _ in range(levels):
        value = [value, value]
    return value


def ring() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "place", ["spec.trainer.podTemplate", "spec.seed", "spec.parameters", "spec.x", "status", "kind"]
)
@pytest.mark.parametrize(
    "value",
    [
        nested(50_000), laughs(90), ring(), "x" * 5_000_000, 10**5_000, ["x"] * 200_000, [{"name": "a"}] * 50_000,
        {"k" * 1_000_000: 1}, {str(i): 1 for i in range(200_000)},
    ],
    ids=["deep", "laughs", "ring", "text", "integer", "list", "objects", "key", "keys"],
)  # fmt: skip
@pytest.mark.timeout(20)  # a blow-up would take hours
def test_huge_values(place: str, value: Any) -> None:
    raw = corpus.study("pod")
    parent, last = corpus.container(raw, place)
    parent[last] = value
    accepted = assert_answers(parse_study, raw)
    assert not accepted or place == "status"
