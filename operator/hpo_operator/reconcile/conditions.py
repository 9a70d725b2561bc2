"""Conditions as the Kubernetes API conventions have them: observations, not a state machine.

Nothing reads them back but the time of their last transition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hpo_operator.api.study_status import Condition

Status = Literal["True", "False", "Unknown"]


def condition(
    old: Sequence[Condition], kind: str, status: Status, reason: str, message: str, generation: int, now: str
) -> Condition:
    """The condition, with the transition time of the old one while its status stays."""
    before = next((c for c in old if c.type == kind), None)
    since = before.last_transition_time if before is not None and before.status == status else now
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message[:4096],
        last_transition_time=since,
        observed_generation=generation,
    )
