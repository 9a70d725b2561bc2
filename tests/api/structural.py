"""What an API server does with an object and its structural schema, before any rule: nulls, defaults, validation.

Follows k8s.io/apiextensions-apiserver: pkg/apiserver/schema/defaulting (algorithm.go, prune.go) for nulls and defaults,
and the strict field validation of `kubectl apply` for unknown fields. The validation itself is jsonschema's, on a
schema whose few deviations from JSON Schema are translated first.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

Schema = dict[str, Any]


def stored(schema: Schema, value: Any) -> Any:
    """``value`` as the API server would store it: nulls out (no field here is nullable), defaults in."""
    value = copy.deepcopy(value)
    _fill(schema, value)
    return value


def _fill(schema: Schema, value: Any) -> None:
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name, child in properties.items():
            if value.get(name) is None:
                value.pop(name, None)
                if "default" in child:
                    value[name] = copy.deepcopy(child["default"])
        for name, item in value.items():
            _fill(properties.get(name) or schema.get("additionalProperties") or {}, item)
    elif isinstance(value, list):
        for item in value:
            _fill(schema.get("items", {}), item)


def violations(schema: Schema, value: Any) -> list[str]:
    """What the structural schema refuses in ``value``: JSON pointers and sentences."""
    validator = _validator(json.dumps(schema, sort_keys=True))
    found = [f"/{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(value)]
    return found + list(_repeated(schema, value, ""))


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    translated = _translate(json.loads(schema))
    Draft202012Validator.check_schema(translated)
    return Draft202012Validator(translated)


def _translate(schema: Schema) -> Schema:
    """From the OpenAPI subset of a CRD to JSON Schema."""
    result = {k: v for k, v in schema.items() if not k.startswith("x-kubernetes") and k != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    if result.get("exclusiveMinimum") is True:
        result["exclusiveMinimum"] = result.pop("minimum")
    if "pattern" in result:  # in Go's regular expressions $ is the end, in Python's also before a last newline
        result["pattern"] = result["pattern"].removesuffix("$") + r"\Z"
    if "properties" in schema:
        result["properties"] = {name: _translate(child) for name, child in schema["properties"].items()}
        result["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _translate(schema["additionalProperties"])
    if "items" in schema:
        result["items"] = _translate(schema["items"])
    return result


def _repeated(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """The list types set and map: no item, or no key, twice."""
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if name in value:
                yield from _repeated(child, value[name], f"{path}/{name}")
    elif isinstance(value, list):
        keys: list[str] = schema.get("x-kubernetes-list-map-keys", [])
        kind = schema.get("x-kubernetes-list-type", "atomic")
        if kind != "atomic":
            marks = [
                json.dumps([item.get(k) for k in keys] if kind == "map" and isinstance(item, dict) else item)
                for item in value
            ]
            if len(set(marks)) < len(marks):
                yield f"{path}: repeated items"
        for i, item in enumerate(value):
            yield from _repeated(schema.get("items", {}), item, f"{path}/{i}")


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node of a schema with its path: properties as .name, items as [], values of a map as {}."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")
