"""Rules of RBAC, taken apart."""

from __future__ import annotations

from typing import Any

Right = tuple[str, str, str]
"""API group, resource, verb."""


def granted(rules: list[dict[str, Any]]) -> set[Right]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
