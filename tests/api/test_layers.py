"""Who refuses a mistake on a cluster: the schema, a CEL rule, or only the operator; and the Python twins of CEL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from pydantic import ValidationError

from api import cel, corpus, structural
from api.specs import studies
from hpo_operator.api.crd import MAX_STUDY_NAME, study_crd, trial_crd
from hpo_operator.api.model import ApiModel
from hpo_operator.api.parse import parse_study
from hpo_operator.api.study import StudySpec
from hpo_operator.api.trial import TrialSpec
from hpo_operator.studies.study_file import read_study_files

CASES = corpus.cases()
ROOT = study_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC = ROOT["properties"]["spec"]
TRIAL = trial_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

Verdict = tuple[str, str, bool]  # path, CEL rule, whether it holds


def is_json(value: Any) -> bool:
    """Whether ``value`` can reach an API server at all: no NaN, no dates, no numbers as keys."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False


def refused_by(raw: dict[str, Any]) -> str:
    """The first layer of an API server that refuses ``raw``; the operator when none does."""
    if not is_json(raw):
        return "operator"
    stored = structural.stored(ROOT, raw)
    if structural.violations(ROOT, stored):
        return "schema"
    if not isinstance(stored.get("metadata", {}).get("name"), str):  # refused as ObjectMeta, by no schema of ours
        return "operator"
    return "operator" if all(holds for _, _, holds in cel.judged(ROOT, stored)) else "cel"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_is_refused_by_its_layer(case: corpus.Case) -> None:
    assert refused_by(case.study) == case.refused_by


GOOD = corpus.good_studies() | {name: corpus.study(name) for name in ("classification", "pod", "rich_task", "rich_pod")}


@pytest.mark.parametrize("name", GOOD)
def test_every_layer_accepts_what_is_barely_allowed(name: str) -> None:
    stored = structural.stored(ROOT, GOOD[name])
    assert structural.violations(ROOT, stored) == []
    assert [verdict for verdict in cel.judged(ROOT, stored) if not verdict[2]] == []
    assert_twins_agree(GOOD[name]["spec"])
    assert parse_study(GOOD[name]).spec == parse_study(stored).spec


EXAMPLES = {
    f"{file.name}: {document['metadata']['name']}": document
    for file in sorted((Path(__file__).parents[2] / "crds" / "examples").rglob("*.yaml"))
    for document in read_study_files(file)
    if document.get("kind") == "HPOStudy"
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_accepts_the_examples(name: str) -> None:
    assert refused_by(EXAMPLES[name]) == "operator"
    assert parse_study(EXAMPLES[name]).spec.parameters


def test_there_are_examples() -> None:
    assert EXAMPLES


def twins(model: ApiModel, path: str) -> Iterator[Verdict]:
    """The verdicts of the Python twins, for ``model`` and everything inside it."""
    yield from ((path, rule.cel, bool(rule.holds(model))) for rule in model.rules if rule.cel is not None)
    for name, field in type(model).model_fields.items():
        value, at = getattr(model, name), f"{path}.{field.alias or name}"
        for i, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(item, ApiModel):
                yield from twins(item, at if i is None else f"{at}[{i}]")


def assert_twins_agree(raw_spec: dict[str, Any]) -> None:
    stored = structural.stored(SPEC, raw_spec)
    assert sorted(twins(StudySpec.model_validate(raw_spec), "spec")) == sorted(cel.judged(SPEC, stored, "spec"))


def test_cel_and_python_agree_on_every_case() -> None:
    judged = 0
    for case in CASES:
        spec: Any = case.study.get("spec")
        try:
            StudySpec.model_validate(spec)
        except ValidationError:
            continue
        if is_json(spec) and not structural.violations(SPEC, structural.stored(SPEC, spec)):
            assert_twins_agree(spec)
            judged += 1
    assert judged > 75


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(studies())
@example(corpus.study("rich_task")["spec"])
def test_cel_and_python_agree_on_any_spec(spec: dict[str, Any]) -> None:
    assert structural.violations(SPEC, structural.stored(SPEC, spec)) == []
    assert_twins_agree(spec)


@pytest.mark.parametrize(("rung", "resource"), [(0, 0), (0, 3), (1, 0), (2, 9)])
def test_cel_and_python_agree_on_trials(rung: int, resource: int) -> None:
    raw = {"study": "s", "index": 0, "rung": rung, "resource": resource}
    verdicts = sorted(cel.judged(TRIAL, structural.stored(TRIAL, raw), "spec"))
    assert sorted(twins(TrialSpec.model_validate(raw), "spec")) == verdicts
    assert all(holds for _, _, holds in verdicts) == (rung == 0 or resource > 0)


@pytest.mark.parametrize("length", [1, MAX_STUDY_NAME, MAX_STUDY_NAME + 1])
def test_the_rule_on_the_name(length: int) -> None:
    (rule,) = cel.rules(ROOT)
    assert cel.holds(rule, cel.typed(ROOT, {"metadata": {"name": "n" * length}})) == (length <= MAX_STUDY_NAME)


def test_every_rule_fires_in_the_corpus_alone() -> None:
    """Each rule is broken by some case, and kept by some case of the same kind: none is always true, or never."""
    seen: dict[tuple[str, bool], int] = {}
    for case in CASES:
        if case.refused_by == "cel":
            for _, rule, holds in cel.judged(ROOT, structural.stored(ROOT, case.study)):
                seen[rule, holds] = seen.get((rule, holds), 0) + 1
    rules = {rule for _, node in structural.nodes(ROOT) for rule in cel.rules(node)}
    assert {rule for rule in rules if (rule, False) not in seen} == set()
    assert {rule for rule in rules if (rule, True) not in seen} == set()


def transition_rules(schema: dict[str, Any]) -> dict[str, str]:
    return {r["message"].split()[0]: r["rule"] for r in schema["x-kubernetes-validations"] if "oldSelf" in r["rule"]}


@pytest.mark.parametrize(
    ("change", "section"),
    [
        ({"objective": {"metric": "loss", "direction": "Minimize"}}, "objective"),
        ({"parameters": [{"name": "fold", "int": {"min": 0, "max": 4}}]}, "parameters"),
        ({"algorithm": {"sampler": {"type": "Sobol"}, "scheduler": {"type": "None"}}}, "algorithm"),
        ({"fidelity": {"resource": "epochs", "max": 9}}, "fidelity"),
        ({"fidelity": None}, "fidelity"),
        ({"seed": 8}, "seed"),
        ({"trainer": {"podTemplate": {"spec": {}}}}, "trainer"),
        ({"budget": {"trials": 99}}, None),
        ({}, None),
    ],
)
def test_the_sections_that_may_not_change(change: dict[str, Any], section: str | None) -> None:
    before = corpus.study("rich_task")["spec"]
    old, new = (cel.typed(SPEC, structural.stored(SPEC, spec)) for spec in (before, before | change))
    broken = [name for name, rule in transition_rules(SPEC).items() if not cel.holds(rule, new, old)]
    assert broken == ([] if section is None else [section])
    backwards = [name for name, rule in transition_rules(SPEC).items() if not cel.holds(rule, old, new)]
    assert backwards == broken
