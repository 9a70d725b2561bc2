"""What a CRD must be so that an API server takes it, and a person can read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from api import cel, corpus, cost, structural
from hpo_operator.api.crd import study_crd, trial_crd
from hpo_operator.api.study import IMMUTABLE
from hpo_operator.api.trial import TRIAL_IMMUTABLE
from hpo_operator.manifests.__main__ import generated_files

Crd = dict[str, Any]
CRDS = {"HPOStudy": study_crd(), "HPOTrial": trial_crd()}
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(params=CRDS)
def crd(request: pytest.FixtureRequest) -> Crd:
    return CRDS[request.param]


@pytest.fixture
def schema(crd: Crd) -> dict[str, Any]:
    (version,) = crd["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def test_every_field_has_a_description(schema: dict[str, Any]) -> None:
    """Metadata may have none by Kubernetes' own rule."""
    missing = [
        f"{path}.{name}"
        for path, node in structural.nodes(schema)
        for name, child in node.get("properties", {}).items()
        if not re.search(r"\w", child.get("description", "")) and (path, name) != ("", "metadata")
    ]
    assert missing == []


def test_it_is_structural(schema: dict[str, Any]) -> None:
    for path, node in structural.nodes(schema):
        if node.get("x-kubernetes-int-or-string"):
            assert node["anyOf"] == INT_OR_STRING and "type" not in node, path
        else:
            assert node["type"] in ("object", "array", "string", "number", "integer", "boolean"), path
            assert "anyOf" not in node, path
        forbidden = {
            "$ref",
            "$defs",
            "title",
            "oneOf",
            "allOf",
            "not",
            "nullable",
            "const",
            "propertyNames",
            "uniqueItems",
        }
        assert not forbidden & set(node), path
        assert isinstance(node.get("additionalProperties", {}), dict), path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert set(node.get("required", ())) <= set(node.get("properties", ())), path
        assert ("items" in node) == (node.get("type") == "array"), path


def test_only_the_pod_template_is_open(schema: dict[str, Any], crd: Crd) -> None:
    open_ = [path for path, node in structural.nodes(schema) if "x-kubernetes-preserve-unknown-fields" in node]
    assert open_ == ([".spec.trainer.podTemplate"] if crd is CRDS["HPOStudy"] else [])


def test_lists_with_keys_can_be_judged(schema: dict[str, Any]) -> None:
    for path, node in structural.nodes(schema):
        if node.get("x-kubernetes-list-type") == "map":
            keys = node["x-kubernetes-list-map-keys"]
            assert set(keys) <= set(node["items"]["required"]), path
        if node.get("x-kubernetes-list-type") == "set":
            assert node["items"]["type"] in ("string", "number", "integer"), path


def test_defaults_are_valid_and_keep_the_rules(schema: dict[str, Any]) -> None:
    with_default = [(path, node) for path, node in structural.nodes(schema) if "default" in node]
    for path, node in with_default:
        filled = structural.stored(node, node["default"])
        assert structural.violations(node, filled) == [], path
        assert all(holds for _, _, holds in cel.judged(node, filled)), path
    assert len(with_default) > 5


def test_no_default_is_null_or_empty_text(schema: dict[str, Any]) -> None:
    """Older API servers read an empty text as null, and refuse the whole CRD."""
    assert [path for path, node in structural.nodes(schema) if node.get("default", 0) in (None, "")] == []


def test_rules_cost_little_even_at_worst(schema: dict[str, Any]) -> None:
    costs = {
        rule["rule"]: times * cost.rule_cost(rule["rule"], node)
        for node, times in cost.occurrences(schema)
        for rule in node["x-kubernetes-validations"]
    }
    assert {rule: n for rule, n in costs.items() if n >= cost.PER_RULE} == {}
    assert 0 < sum(costs.values()) < cost.PER_CRD


def test_the_estimate_tells_cheap_from_dear() -> None:
    """The estimate itself: two nested loops over long texts are too much, and an unbounded list is an error."""
    texts = {"type": "array", "maxItems": 1000, "items": {"type": "string", "maxLength": 1000}}
    node = {"type": "object", "properties": {"l": texts, "u": {"type": "array", "items": texts["items"]}}}
    assert cost.rule_cost("self.l.all(p, self.l.exists(q, q == p))", node) > cost.PER_RULE
    assert cost.rule_cost("self.l.all(p, p == 'a')", node) < cost.PER_RULE / 100
    with pytest.raises(KeyError, match="maxItems"):
        cost.rule_cost("self.u.exists(p, p == 'a')", node)


def test_messages_are_sentences_of_one_line(schema: dict[str, Any]) -> None:
    for path, node in structural.nodes(schema):
        for rule in node.get("x-kubernetes-validations", []):
            assert set(rule) == {"rule", "message"} and "\n" not in rule["rule"], path
            assert re.fullmatch(r"(expected \S.*|\w+ may not change .*)", rule["message"]), path


@pytest.mark.parametrize(("kind", "sections"), [("HPOStudy", IMMUTABLE), ("HPOTrial", TRIAL_IMMUTABLE)])
def test_every_immutable_section_has_its_transition_rule(kind: str, sections: tuple[str, ...]) -> None:
    spec = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    transitions = [r["rule"] for r in spec["x-kubernetes-validations"] if "oldSelf" in r["rule"]]
    assert [re.findall(r"oldSelf\.(\w+)", rule)[-1] for rule in transitions] == list(sections)
    for section, rule in zip(sections, transitions, strict=True):
        always_there = section in spec["required"] or "default" in spec["properties"][section]
        assert always_there or f"has(self.{section})" in rule


def test_names_and_columns(crd: Crd, schema: dict[str, Any]) -> None:
    names = crd["spec"]["names"]
    assert crd["metadata"]["name"] == f"{names['plural']}.{crd['spec']['group']}"
    assert names["shortNames"] and names["categories"] and names["listKind"] == f"{names['kind']}List"
    (version,) = crd["spec"]["versions"]
    assert version["subresources"]["status"] == {}
    columns = version["additionalPrinterColumns"]
    assert len({c["name"] for c in columns}) == len(columns) > 5
    for column in columns:
        assert column["description"]
        if column["jsonPath"] != ".metadata.creationTimestamp":
            assert at(schema, column["jsonPath"])["type"] == column["type"]
    for name, path in version["subresources"].get("scale", {}).items():
        assert at(schema, path)["type"] == ("string" if name == "labelSelectorPath" else "integer")


def at(schema: dict[str, Any], path: str) -> dict[str, Any]:
    for name in path.strip(".").split("."):
        schema = schema["properties"][name]
    return schema


def test_the_committed_files_are_the_generated_ones() -> None:
    crds = {path: content for path, content in generated_files().items() if path.startswith("crds/")}
    assert len(crds) == 2
    assert {path: (REPOSITORY / path).read_text() for path in crds} == crds


@pytest.mark.parametrize("name", ["rich_task", "rich_pod"])
def test_the_operator_reads_what_it_wrote_into_the_status(name: str) -> None:
    """A status of every field, at its type's own default, is valid by the schema that the API server checks."""
    from hpo_operator.api.study_status import StudyStatus

    status = StudyStatus.model_validate({}).dump()
    object_ = corpus.study(name) | {"status": status}
    root = CRDS["HPOStudy"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert structural.violations(root, structural.stored(root, object_)) == []
