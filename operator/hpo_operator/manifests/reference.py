"""A page for people about a CRD: each field with its type, its default, what it may be, and what it means."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "{} characters or more",
    "maxLength": "{} characters at most",
    "minItems": "{} or more",
    "maxItems": "{} at most",
    "minProperties": "{} or more",
    "maxProperties": "{} at most",
    "pattern": "`{}`",
}
HEAD = """# {kind}

`{group}/{version}`, {scope}. Made by `make manifests` from the typed objects, as the CRD is, by whose rules the API
server checks. `a[]` is one element of the list `a`, `a.*` one value of the map `a`. What has no default may be left
out, unless it is required.

"""


def crd_reference(crd: Schema) -> str:
    """Markdown: a section for each part of the spec and of the status."""
    spec = crd["spec"]
    version = spec["versions"][0]
    head = HEAD.format(
        kind=spec["names"]["kind"], group=spec["group"], version=version["name"], scope=spec["scope"].lower()
    )
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    parts = (_part(name, properties[name]) for name in ("spec", "status") if name in properties)
    return head + "\n".join(line for part in parts for line in part) + "\n"


def _part(name: str, schema: Schema) -> Iterator[str]:
    yield f"## {name}\n"
    sections = {key: inner for key, inner in schema["properties"].items() if _is_deep(inner)}
    plain = {key: inner for key, inner in schema["properties"].items() if key not in sections}
    required = schema.get("required", ())
    yield from _table(row for key, inner in plain.items() for row in _rows(f"{name}.{key}", inner, key in required))
    yield from _rules(schema)
    for key, inner in sections.items():
        yield f"### {name}.{key}\n"
        yield from _table(_rows(f"{name}.{key}", inner, key in required))
        yield from _rules(inner)


def _is_deep(schema: Schema) -> bool:
    return "properties" in (schema.get("items") or schema.get("additionalProperties") or schema)


def _table(rows: Iterator[tuple[str, str, str, str]]) -> Iterator[str]:
    yield "| field | type | default | meaning |\n| --- | --- | --- | --- |"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


def _rules(schema: Schema) -> Iterator[str]:
    """The sentences that a value is refused with."""
    messages = list(dict.fromkeys(str(rule["message"]) for rule in schema.get("x-kubernetes-validations", ())))
    if messages:
        yield "Refused otherwise:\n"
        yield from (f"* {message}" for message in messages)
        yield ""


def _rows(path: str, schema: Schema, required: bool) -> Iterator[tuple[str, str, str, str]]:
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema else "required" if required else ""
    bounds = [text.format(schema[key]) for key, text in BOUNDS.items() if key in schema]
    meaning = " ".join(filter(None, (str(schema.get("description", "")), f"({', '.join(bounds)})" if bounds else "")))
    yield f"`{path}`", _type(schema), default, meaning
    yield from _inner(path, schema)


def _inner(path: str, schema: Schema) -> Iterator[tuple[str, str, str, str]]:
    for key, inner in schema.get("properties", {}).items():
        yield from _rows(f"{path}.{key}", inner, key in schema.get("required", ()))
    for suffix, name in (("[]", "items"), (".*", "additionalProperties")):
        inner = schema.get(name)
        if isinstance(inner, Mapping) and ("properties" in inner or "items" in inner):
            yield from _inner(path + suffix, inner)


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    inner = schema.get("additionalProperties")
    if isinstance(inner, Mapping):
        return f"map of {_type(inner)}"
    return str(schema.get("type", "any"))
