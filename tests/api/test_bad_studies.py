"""What a user is told of each mistake: the exact sentences, all of them at once, and never another exception."""

from __future__ import annotations

import re
from typing import Any

import pytest

from api import corpus, structural
from hpo_operator.api.crd import study_crd
from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study
from hpo_operator.api.sentences import PATTERNS

CASES = corpus.cases()
SCHEMA = study_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sentences(case: corpus.Case) -> None:
    with pytest.raises(InvalidObject) as caught:
        parse_study(case.study)
    assert [str(error) for error in caught.value.errors] == case.says


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 250


@pytest.mark.parametrize("name", ["classification", "pod", "rich_task", "rich_pod"])
def test_the_studies_that_the_cases_change_are_valid(name: str) -> None:
    assert parse_study(corpus.study(name)).spec.parameters


def test_every_sentence_names_a_place_that_exists() -> None:
    """A path is one that the user can write: its last step may be a wrong field, all before it are in the schema."""
    wrong = [
        (case.name, sentence)
        for case in CASES
        for sentence in case.says
        if "unknown field" not in sentence and not _exists(SCHEMA, sentence.split(": ")[0])
    ]
    assert wrong == []


def _exists(schema: dict[str, Any], path: str) -> bool:
    for name in re.sub(r"\[\d+\]", ".[]", path).split("."):
        if schema.get("x-kubernetes-preserve-unknown-fields") or schema == SCHEMA["properties"]["metadata"]:
            return True
        child = schema.get("items") if name == "[]" else schema.get("properties", {}).get(name)
        child = child or schema.get("additionalProperties")
        if child is None:
            return False
        schema = child
    return True


def test_every_regular_expression_has_words() -> None:
    own_words = {"spec.budget.wallClock", "spec.trainer.resources.requests{}", "spec.trainer.resources.limits{}"}
    patterns = {path.lstrip("."): node["pattern"] for path, node in structural.nodes(SCHEMA) if "pattern" in node}
    assert own_words < set(patterns)
    assert {pattern for path, pattern in patterns.items() if path not in own_words} == set(PATTERNS)


@pytest.mark.parametrize("raw", [None, [], "study", 3, [{"kind": "HPOStudy"}]], ids=repr)
def test_what_is_no_object_at_all(raw: Any) -> None:
    with pytest.raises(InvalidObject, match="expected an object with apiVersion, kind, metadata, spec"):
        parse_study(raw)
