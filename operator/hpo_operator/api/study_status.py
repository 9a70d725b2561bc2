"""What the operator answers: the status of an HPOStudy, and the conditions that trials have as well."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from hpo_operator.api.model import ApiModel

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class Condition(ApiModel):
    """As everywhere in Kubernetes."""

    type: str = Field(max_length=64, description="Accepted, Progressing, Suspended, Finished or Succeeded.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(max_length=64, description="One word for programs.")
    message: str = Field("", max_length=4096, description="A sentence for people.")
    last_transition_time: Time = Field(description="When the status last changed.")
    observed_generation: int = Field(0, description="The generation of the spec that this was judged on.")


class TrialCounts(ApiModel):
    """Trials by where they stand."""

    total: int = Field(0, description="Trials created.")
    pending: int = Field(0, description="Waiting for a Pod, a node or an image.")
    running: int = Field(0, description="Training now.")
    waiting: int = Field(0, description="Paused at a rung with a measurement; no Pod.")
    succeeded: int = Field(0, description="Finished with a measurement.")
    failed: int = Field(0, description="Failed for good.")
    stopped: int = Field(0, description="Stopped before their end.")


class BestTrial(ApiModel):
    """The incumbent."""

    trial: str = Field(description="Name of the HPOTrial.")
    index: int = Field(description="Its number.")
    value: float = Field(description="Its objective, to six digits; the trial holds it exactly.")
    resource: int = Field(0, description="At how much of the fidelity; 0 without one.")
    parameters: dict[str, str] = Field(default_factory=dict, description="Its parameters.")


class StudyStatus(ApiModel):
    """Folded from the trials, from scratch, whenever something changes."""

    observed_generation: int = Field(0, description="The generation of the spec that this describes.")
    phase: Literal["Pending", "Running", "Suspended", "Succeeded", "Failed", "Invalid"] = Field(
        "Pending", description="For people; programs read the conditions."
    )
    reason: str = Field("", max_length=64, description="Why the study stands where it does, in one word.")
    message: str = Field("", max_length=4096, description="The same in a sentence.")
    algorithm: str = Field("", max_length=64, description="Sampler and scheduler, such as GP + Hyperband.")
    progress: str = Field("", max_length=32, description="Trials that ended, of the budget: 7/20.")
    trials: TrialCounts = Field(default_factory=TrialCounts, description="Trials by where they stand.")
    best: BestTrial | None = Field(None, description="The incumbent.")
    selector: str = Field("", max_length=128, description="Labels of the study's Pods, for the scale subresource.")
    gpu_hours: float = Field(0.0, ge=0, description="GPU-hours used by the Pods, interrupted attempts included.")
    start_time: Time | None = Field(None, description="When the study was accepted.")
    suspend_time: Time | None = Field(None, description="Since when it has been suspended, if it is.")
    suspended_seconds: float = Field(
        0.0, ge=0, description="How long it was suspended before; the wall clock of the budget leaves it out."
    )
    completion_time: Time | None = Field(None, description="When it ended.")
    cleaning: str = Field("", max_length=1024, description="What keeps checkpoints from being deleted, if anything.")
    spec_digests: dict[str, str] = Field(
        default_factory=dict, description="Fingerprints of the sections that may not change, as accepted."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        description="Accepted, Progressing, Suspended, Finished, Succeeded.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
