"""What of ended trials is kept. The HPOTrials themselves always are: they are the study's memory."""

from __future__ import annotations

from pydantic import Field

from hpo_operator.api.model import ApiModel


class Retention(ApiModel):
    """What of ended trials is kept. May be changed at any time."""

    best_checkpoints: int | None = Field(
        None,
        ge=1,
        le=100000,
        description="Checkpoints of so many of the best trials are kept; those of other trials that have ended are deleted from the checkpoint volume. Absent: all are kept.",
    )
    finished_pods: int = Field(
        100,
        ge=0,
        le=10000,
        description="Ended Pods that are kept for their logs, the newest; the last ones of the best trials are kept as well.",
    )
    failed_pods: int = Field(100, ge=0, le=10000, description="Failed Pods that are kept besides, the newest.")
