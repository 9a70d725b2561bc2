"""What the API server told when it was asked, and what was wanted of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from hpo_operator.api.study import Study

Raw = Mapping[str, Any]


class State(StrEnum):
    OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True)
class Finding:
    """``check``: what was looked at. ``message``: what is so. ``advice``: what to do; empty where all is well."""

    check: str
    state: State
    message: str
    advice: str = ""


@dataclass(frozen=True)
class Fact:
    """``value`` as the server has it; None: there is none. ``refused``: it would not tell, in its own words."""

    value: Any = None
    refused: str = ""

    @property
    def items(self) -> Sequence[Raw]:
        """Of a list."""
        found: Sequence[Raw] = (self.value or {}).get("items") or ()
        return found


@dataclass(frozen=True, order=True)
class Right:
    """One verb of RBAC on one resource; ``resource`` with its subresource, as Roles write it."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def rights_of(rules: Sequence[Raw]) -> tuple[Right, ...]:
    """Of a Role's rules."""
    return tuple(
        Right(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


@dataclass(frozen=True)
class Wanted:
    """``operator``: namespace and name of its Lease and Deployment. ``study``: what shall run; None: any.

    ``pod``: of a first trial, as the operator would make it. ``parallelism``: so many of them at once.
    """

    namespace: str
    operator: tuple[str, str]
    study: Study | None
    pod: Raw
    parallelism: int = 1


@dataclass(frozen=True)
class Facts:
    """``claims`` by name, of the study. ``pods``: of all namespaces. ``trial_pod``: what a dry run of one came to.

    ``own_rights`` and ``operator_rights``: whether each is allowed; of the operator also who was asked about.
    """

    now: datetime
    version: Fact
    group: Fact
    crds: Mapping[str, Fact]
    lease: Fact
    deployment: Fact
    nodes: Fact
    pods: Fact
    storage_classes: Fact
    claims: Mapping[str, Fact]
    namespace: Fact
    quotas: Fact
    monitoring: Fact
    trial_pod: Fact
    own_rights: Mapping[Right, bool]
    operator_rights: Fact
    account: str
    queue: Fact = field(default=Fact())
