"""``HPOTrial``: one configuration of a study, how far it shall be trained, and what came of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hpo_operator.api.model import ApiModel, Rule
from hpo_operator.api.study_status import Condition, Time

MAX_CURVE_POINTS = 64
"""A trial's status keeps at most this many points of its curve; the whole curve lives in Prometheus."""
MAX_WATCHED_POINTS = 96
"""More than the levels at which any scheduler looks at running trials."""


TrialPhase = Literal["Pending", "Running", "Waiting", "Succeeded", "Failed", "Stopped"]


class Rationale(ApiModel):
    """Why this configuration was suggested."""

    origin: str = Field(max_length=64, description="Random, Sobol, GP or TPE.")
    bracket: int | None = Field(None, description="Bracket of Hyperband or AsyncHyperband.")
    mean: float | None = Field(None, description="Objective that the model expected.")
    sigma: float | None = Field(None, description="Its standard deviation.")
    acquisition: float | None = Field(None, description="Value of the acquisition function.")


class Step(ApiModel):
    """One thing that was decided about a trial, with what the decision depended on besides the trials.

    Decisions of a study that lead to steps are counted from 1. Decision n was made from what has a number of at most n
    in the statuses, and below n in the steps.
    """

    decision: int = Field(ge=1, description="Number of the decision in its study.")
    kind: Literal["Start", "Promote", "Stop"] = Field(description="What was decided.")
    rung: int = Field(0, ge=0, le=99, description="The rung that the trial shall reach.")
    resource: int = Field(0, ge=0, description="The fidelity that it shall reach; 0 without one.")
    slots: int = Field(ge=0, description="Free places for trials at that moment.")
    trials: int = Field(ge=1, description="The budget in trials at that moment.")
    held: list[int] | None = Field(
        None, description="Numbers that were taken by trials made by hand which could not be used."
    )


class TrialSpec(ApiModel):
    """What shall be trained. Written by the operator, or by a user who gives study, index and parameters.

    Only resource, rung, desiredState and steps ever change.
    """

    study: str = Field(
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="Name of the study.",
    )
    index: int = Field(
        ge=0,
        description="Number of the trial in its study, below budget.trials; its name is the study's, a dash and this.",
    )
    parameters: dict[str, str] = Field(
        {}, max_length=64, description="Active parameters; numbers as text that reads back exactly."
    )
    rung: int = Field(0, ge=0, le=99, description="Promotions so far.")
    resource: int = Field(0, ge=0, description="Train until this much of the fidelity, in total; 0 without one.")
    desired_state: Literal["Measured", "Suspended", "Stopped"] = Field(
        "Measured",
        description="Measured: train to resource. Suspended: no Pod until it is Measured again. Stopped: end now.",
    )
    rationale: Rationale | None = Field(None, description="Why this configuration was suggested.")
    steps: list[Step] = Field(
        default_factory=list, max_length=101, description="What was decided about it, in order, for hpo replay."
    )

    rules = (
        Rule(
            "!has(self.rung) || self.rung == 0 || self.resource > 0",
            "expected a resource above 0 on a rung above 0",
            lambda s: s.rung == 0 or s.resource > 0,
            "resource",
            lambda s: str(s.resource),
        ),
    )


TRIAL_IMMUTABLE = ("study", "index", "parameters")


Decision = Annotated[int, Field(ge=1)]


class Measurement(ApiModel):
    """What the trial reported at a rung."""

    rung: int = Field(ge=0, description="The rung.")
    resource: int = Field(ge=0, description="Fidelity reached, in total.")
    value: float = Field(description="The objective.")
    metrics: dict[str, float] = Field(
        default_factory=dict, max_length=64, description="Everything else that was reported."
    )
    source: Literal["TerminationMessage", "MetricsEndpoint", "Prometheus"] = Field(
        description="TerminationMessage: the trainer's own report. MetricsEndpoint: the last sample of its /metrics. Prometheus: the study's query."
    )
    seconds: float | None = Field(None, description="Wall time of this rung's training.")
    peak_memory_bytes: int | None = Field(None, description="Most memory used, as the trainer reports it.")
    decision: Decision | None = Field(None, description="The first decision that knew of it.")


class CurvePoint(ApiModel):
    """One point of the learning curve."""

    resource: int = Field(ge=0, description="Fidelity.")
    value: float = Field(description="Objective.")


class WatchedPoint(CurvePoint):
    """A point of the learning curve by which the scheduler judged the running trial."""

    decision: Decision | None = Field(None, description="The first decision that knew of it.")


class TrialFailure(ApiModel):
    """Why the trial failed for good."""

    reason: str = Field(
        max_length=64, description="BadConfig, BadData, OutOfMemory, Diverged, InvalidMeasurement, Error, ..."
    )
    message: str = Field("", max_length=2048, description="What the trainer or Kubernetes said.")
    exit_code: int | None = Field(None, description="Exit code of the container.")
    decision: Decision | None = Field(None, description="The first decision that knew of it.")


class TrialStatus(ApiModel):
    """What came of the trial so far."""

    observed_generation: int = Field(0, description="The generation of the spec that this describes.")
    phase: TrialPhase = Field("Pending", description="For people. Waiting: measured, and paused at its rung.")
    reason: str = Field("", max_length=64, description="Why, in one word.")
    message: str = Field("", max_length=2048, description="Why, in a sentence.")
    attempt: int = Field(0, ge=0, description="Number of the current Pod; grows when a Pod is lost or interrupted.")
    pod: str | None = Field(None, description="Name of the current Pod, once it was seen.")
    interruptions: int = Field(
        0, ge=0, description="Attempts lost to preemption, eviction and the like; they are not failures."
    )
    interrupted_at: Time | None = Field(None, description="When the last attempt was lost.")
    objective: float | None = Field(None, description="Latest value: measured, or sampled while it runs.")
    resource: int = Field(0, ge=0, description="Fidelity of that value.")
    sampled_pod: str | None = Field(
        None, description="The Pod whose /metrics gave objective and resource, while they are not measured."
    )
    pod_start_time: Time | None = Field(
        None, description="When the current Pod began to run; between two attempts, when the last one did."
    )
    measurements: list[Measurement] = Field(default_factory=list, max_length=100, description="One per rung.")
    curve: list[CurvePoint] = Field(
        default_factory=list, max_length=MAX_CURVE_POINTS, description="Learning curve, downsampled."
    )
    watched: list[WatchedPoint] = Field(
        default_factory=list,
        max_length=MAX_WATCHED_POINTS,
        description="What the scheduler judged the running trial by; only with ASHAStopping and MedianStopping.",
    )
    failure: TrialFailure | None = Field(None, description="Why the trial failed for good.")
    found_in: Decision | None = Field(
        None, description="The first decision that knew of the trial, if no step of its study started it."
    )
    stopped_in: Decision | None = Field(None, description="The first decision that knew that it was stopped.")
    digest: str = Field(
        "", max_length=64, description="Fingerprint of all that decisions were told of the trial, for hpo replay."
    )
    checkpoint_deleted: bool = Field(
        False, description="Its checkpoint was deleted, by the study's retention; if it ever goes on, it trains anew."
    )
    gpu_seconds: float = Field(0.0, ge=0, description="GPU-seconds of all ended Pods.")
    start_time: Time | None = Field(None, description="When its first Pod started.")
    completion_time: Time | None = Field(None, description="When it ended.")
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=8,
        description="Finished, Succeeded.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )


class HpoTrial(ApiModel):
    """An HPOTrial without its Kubernetes envelope."""

    name: str
    uid: str
    generation: int
    spec: TrialSpec
    status: TrialStatus
