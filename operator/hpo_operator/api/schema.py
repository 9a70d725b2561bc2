"""From the typed objects to a CRD's structural schema.

pydantic speaks JSON Schema; a CRD wants the subset of OpenAPI that Kubernetes calls structural: no references,
no unions with null, no titles, every default in its place.
"""

from __future__ import annotations

from typing import Any

from hpo_operator.api.model import ApiModel

Schema = dict[str, Any]
_DROPPED = ("title", "$defs", "additionalProperties")


def structural_schema(model: type[ApiModel]) -> Schema:
    """The structural schema of ``model``, as it stands under ``openAPIV3Schema``."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _structural(schema, schema.get("$defs", {}))


def _structural(node: Schema, definitions: dict[str, Schema]) -> Schema:
    node = _resolve(node, definitions)
    result = {key: value for key, value in node.items() if key not in _DROPPED}
    if "properties" in node:
        result["properties"] = {name: _structural(child, definitions) for name, child in node["properties"].items()}
    elif isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    result.pop("propertyNames", None)
    if "items" in node:
        result["items"] = _structural(node["items"], definitions)
    if "exclusiveMinimum" in node:  # a number in JSON Schema, a flag beside minimum in Kubernetes
        result |= {"minimum": node["exclusiveMinimum"], "exclusiveMinimum": True}
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if result.get("type") == "number":
        result["format"] = "double"
    if result.get("type") == "integer":
        result["format"] = "int64"
    if result.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
    if result.get("default", ...) in (None, ""):  # an API server of 1.20 reads "" as null, and refuses it
        del result["default"]
    if isinstance(result.get("default"), dict):
        result["default"] = {}  # the API server fills it from the defaults inside
    return result


def _resolve(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """Follow references and take the one branch that is not null; what stands beside them wins."""
    while True:
        if "$ref" in node:
            target = definitions[node["$ref"].removeprefix("#/$defs/")]
            node = target | {key: value for key, value in node.items() if key != "$ref"}
        elif "anyOf" in node and any(branch.get("type") == "null" for branch in node["anyOf"]):
            (branch,) = [b for b in node["anyOf"] if b.get("type") != "null"]
            node = branch | {key: value for key, value in node.items() if key != "anyOf"}
        else:
            return node
