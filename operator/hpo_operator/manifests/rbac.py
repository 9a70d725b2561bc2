"""What the operator may do: exactly what ``kube`` and ``handlers`` ask for. The chart's Roles are generated from it."""

from __future__ import annotations

from typing import Any

from hpo_operator.api.study import GROUP

RULES: list[dict[str, Any]] = [
    {"apiGroups": [GROUP], "resources": ["hpostudies"], "verbs": ["list", "watch"]},
    {"apiGroups": [GROUP], "resources": ["hpostudies/status"], "verbs": ["patch"]},
    {"apiGroups": [GROUP], "resources": ["hpotrials"], "verbs": ["list", "watch", "create", "patch"]},
    {"apiGroups": [GROUP], "resources": ["hpotrials/status"], "verbs": ["patch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch", "create", "delete"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
]
"""In every namespace whose studies it serves."""

LEASE_RULES: list[dict[str, Any]] = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
]
"""In its own namespace."""
