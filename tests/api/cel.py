"""The CRD's own CEL rules, run by a CEL implementation as an API server would: typed by the schema, at every object.

Numbers of `type: number` are doubles and those of `type: integer` are ints whatever their JSON looks like, and a field
whose name CEL reserves is escaped (`in` is `__in__`), as Kubernetes does.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import celpy
from celpy import celtypes
from celpy.adapter import json_to_cel

Schema = dict[str, Any]
RESERVED = {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"} | {
    "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"
}  # fmt: skip

_ENVIRONMENT = celpy.Environment(runner_class=celpy.InterpretedRunner)


@functools.cache
def program(rule: str) -> Any:
    """The compiled rule. Raises celpy.CELParseError."""
    return _ENVIRONMENT.program(_ENVIRONMENT.compile(rule))


def holds(rule: str, value: Any, old: Any = None) -> bool:
    """Whether ``rule`` holds for ``value`` (of ``typed``). A rule that errs raises: it must never do so here."""
    result = program(rule).evaluate({"self": value} | ({} if old is None else {"oldSelf": old}))
    assert isinstance(result, celtypes.BoolType), f"{rule} is {result!r}"
    return bool(result)


def typed(schema: Schema, value: Any) -> Any:
    """``value`` as CEL sees it. It must be valid by ``schema``."""
    if schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields"):
        return json_to_cel(value)
    match schema.get("type"):
        case "number":
            return celtypes.DoubleType(value)
        case "integer":
            return celtypes.IntType(value)
        case "array":
            return celtypes.ListType([typed(schema["items"], item) for item in value])
        case "object" if "properties" in schema:
            children = schema["properties"]
            return celtypes.MapType({_key(k): typed(children[k], v) for k, v in value.items() if k in children})
        case "object" if "additionalProperties" in schema:
            return celtypes.MapType({_key(k): typed(schema["additionalProperties"], v) for k, v in value.items()})
    return json_to_cel(value)


def _key(name: str) -> Any:
    return celtypes.StringType(f"__{name}__" if name in RESERVED else name)


def rules(schema: Schema) -> list[str]:
    """The rules at this node that judge an object by itself, not against its former state."""
    return [r["rule"] for r in schema.get("x-kubernetes-validations", []) if "oldSelf" not in r["rule"]]


def judged(schema: Schema, value: Any, path: str = "") -> Iterator[tuple[str, str, bool]]:
    """Path, rule and verdict, for ``value`` and everything inside it."""
    for rule in rules(schema):
        yield path, rule, _verdict(schema, rule, value)
    if isinstance(value, dict):
        for name, item in value.items():
            child = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if child:
                yield from judged(child, item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from judged(schema["items"], item, f"{path}[{i}]")


_SEEN: dict[tuple[int, str, str], tuple[Schema, bool]] = {}


def _verdict(schema: Schema, rule: str, value: dict[str, Any]) -> bool:
    """Whether ``rule`` holds, judged once for all objects that are alike in the fields it names: CEL is slow here."""
    named = {name: value[name] for name in _fields(rule) if name in value}
    key = id(schema), rule, json.dumps(named)
    if key not in _SEEN:  # the schema is kept beside the verdict, so that its id stays its own
        _SEEN[key] = schema, holds(rule, typed(schema, named))
    return _SEEN[key][1]


@functools.cache
def _fields(rule: str) -> list[str]:
    """Names of the fields of ``self`` that ``rule`` reads."""
    escaped = re.findall(r"\bself\.(\w+)", rule)
    return sorted({name.strip("_") if name.strip("_") in RESERVED else name for name in escaped})
