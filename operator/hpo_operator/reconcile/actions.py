"""What ``decide`` may ask for: values, performed elsewhere. Each is idempotent: performing one twice does no harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hpo_operator.api.study_status import StudyStatus
from hpo_operator.api.trial import TrialStatus

EventType = Literal["Normal", "Warning"]


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
    """Replace a trial's status. All of a decision's are stored before its trials are created or their specs patched:
    what a step was decided from must not go missing, or it could not be decided again (see ``record``).

    ``can_wait``: only what people read has changed, so that the next such change may be stored along with it."""

    name: str
    status: TrialStatus
    can_wait: bool = False


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
    """Replace the study's status. ``can_wait``: as of a trial's."""

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
