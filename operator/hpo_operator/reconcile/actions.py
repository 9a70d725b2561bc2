"""What ``decide`` may ask for: values, performed elsewhere. Each is idempotent: performing one twice does no harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hpo_operator.api.study_status import StudyStatus
from hpo_operator.api.trial import TrialStatus

EventType = Literal["Normal", "Warning"]
Haste = Literal["Evidence", "News", "Display"]


@dataclass(frozen=True)
class CreateTrial:
    """Create the HPOTrial; if it exists, the stored one wins."""

    manifest: dict[str, Any]


@dataclass(frozen=True)
class PatchTrialSpec:
    """Change resource, rung or desiredState of a trial."""

    name: str
    changes: dict[str, Any]


@dataclass(frozen=True)
class AdoptTrial:
    """Make a trial that a user created one of the study's: changes of its metadata and of its spec."""

    name: str
    metadata: dict[str, Any]
    spec: dict[str, Any]


@dataclass(frozen=True)
class PutTrialStatus:
    """Replace a trial's status.

    ``haste``: Evidence is stored before a decision's trials are created or their specs patched: what a step was decided
    from must not go missing, or it could not be decided again (see ``record``). News of a Pod that runs is stored once
    nothing else is to be done. Of what is for Display alone, the next change may be stored along with it.
    """

    name: str
    status: TrialStatus
    haste: Haste = "Evidence"


@dataclass(frozen=True)
class CreatePod:
    """Create the Pod; if it exists, the stored one wins."""

    manifest: dict[str, Any]


@dataclass(frozen=True)
class DeletePod:
    """Delete the Pod with its own grace period; gone already is fine."""

    name: str


@dataclass(frozen=True)
class PutStudyStatus:
    """Replace the study's status. ``can_wait``: only what people read has changed."""

    status: StudyStatus
    can_wait: bool = False


@dataclass(frozen=True)
class RecordEvent:
    """Tell people, once, about the study."""

    type: EventType
    reason: str
    message: str


Action = (
    CreateTrial | PatchTrialSpec | AdoptTrial | PutTrialStatus | CreatePod | DeletePod | PutStudyStatus | RecordEvent
)
