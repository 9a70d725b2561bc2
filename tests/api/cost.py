"""What a CEL rule may cost at worst, estimated as by the API server, which refuses a CRD that may cost too much.

The model is that of k8s.io/apiserver (cel/library/cost.go) and cel-go (checker/cost.go), reduced to what the rules here
use: a comprehension costs its longest list times its body, a text or object costs a tenth of its length wherever it is
compared, a regular expression costs the text times a quarter of the expression, anything else costs 1; and a rule
below a list costs as often as the list is long. A list, map or text that nothing bounds is an error here.
"""

from __future__ import annotations

from typing import Any

from lark import Token, Tree

from api.cel import RESERVED, program

Schema = dict[str, Any]
PER_RULE = 10_000_000
PER_CRD = 100_000_000
REQUEST = 3 * 1024 * 1024
"""Bytes of the largest request: what an object may be that is compared as a whole."""

_LITERAL: Schema = {"type": "string", "maxLength": 64}
_COMPREHENSIONS = ("all", "exists", "filter")


def rule_cost(rule: str, schema: Schema) -> int:
    """The most that one evaluation of ``rule`` may cost at a node of ``schema``."""
    scope = {"self": schema, "oldSelf": schema}
    return _cost(program(rule).ast, scope)[0]


def longest(schema: Schema) -> int:
    """The most elements or characters that a value of ``schema`` may have."""
    kind = schema.get("type")
    if kind == "array":
        return int(schema["maxItems"])
    if "enum" in schema:
        return max(map(len, schema["enum"]))
    if kind == "string":
        return int(schema["maxLength"])
    if kind == "object" and "additionalProperties" in schema:
        return int(schema["maxProperties"])
    return REQUEST if kind == "object" else 1


def occurrences(schema: Schema, times: int = 1) -> list[tuple[Schema, int]]:
    """Every node that has rules, and how often it may occur in one object."""
    found = [(schema, times)] if "x-kubernetes-validations" in schema else []
    for child in schema.get("properties", {}).values():
        found += occurrences(child, times)
    for child in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(child, dict):
            inner = occurrences(child)
            found += [(node, times * longest(schema) * n) for node, n in inner]
    return found


def _cost(node: Any, scope: dict[str, Schema]) -> tuple[int, Schema]:
    """What evaluating ``node`` costs, and the schema of its value where that matters."""
    if isinstance(node, Token):
        return 0, _LITERAL
    name, children = node.data, node.children
    if name == "ident":
        return 1, scope.get(str(children[0]), _LITERAL)
    if name == "member_dot":
        cost, schema = _cost(children[0], scope)
        return cost + 1, _field(schema, str(children[1]))
    if name == "member_dot_arg":
        return _method(children, scope)
    if name == "list_lit":
        items = [_cost(child, scope) for child in _arguments(children)]
        element = items[0][1] if items else _LITERAL
        return sum(c for c, _ in items) + 1, {"type": "array", "maxItems": len(items), "items": element}
    costs = [_cost(child, scope) for child in children if child is not None]
    total, last = sum(c for c, _ in costs), costs[-1][1] if costs else _LITERAL
    if name == "relation" and len(costs) == 2:
        return total + 1 + min(longest(schema) for _, schema in costs) // 10, {"type": "boolean"}
    return total + (len(costs) > 1), costs[0][1] if len(costs) == 1 else last


def _method(children: list[Any], scope: dict[str, Schema]) -> tuple[int, Schema]:
    cost, schema = _cost(children[0], scope)
    method, arguments = str(children[1]), _arguments(children[2:])
    if method in _COMPREHENSIONS:
        variable = str(next(arguments[0].scan_values(lambda value: True)))
        body, _ = _cost(arguments[1], scope | {variable: schema["items"]})
        return cost + longest(schema) * (body + 2), schema if method == "filter" else {"type": "boolean"}
    if method == "matches":
        expression = str(next(arguments[0].scan_values(lambda value: True)))
        return cost + (longest(schema) // 10 + 1) * (len(expression) // 4 + 1), {"type": "boolean"}
    return cost + 1 + sum(_cost(a, scope)[0] for a in arguments), {"type": "integer"}


def _arguments(children: list[Any]) -> list[Any]:
    found: list[Any] = []
    for child in children:
        found += child.children if isinstance(child, Tree) and child.data == "exprlist" else [child]
    return [child for child in found if child is not None]


def _field(schema: Schema, name: str) -> Schema:
    plain = name.strip("_") if name.strip("_") in RESERVED else name
    child: Schema = schema.get("properties", {}).get(plain) or {"type": "string", "maxLength": REQUEST}
    return child
