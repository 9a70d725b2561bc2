"""``HPOStudy``: what a user asks for. The CRD is generated from these classes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from hpo_operator.api.algorithm import Algorithm, Fidelity
from hpo_operator.api.goals import Belief, Constraint, PrometheusQuery, SecondObjective, ValueText
from hpo_operator.api.model import ApiModel, Rule
from hpo_operator.api.parameters import Parameter
from hpo_operator.api.quantities import Duration, Quantity
from hpo_operator.api.retention import Retention
from hpo_operator.api.study_status import StudyStatus
from hpo_operator.api.tasks import (
    TASKS,
    ClassificationTask,
    SegmentationTask,
    Task,
    TemplateDeformationTask,
    TransferClassificationTask,
    TransferSegmentationTask,
)
from hpo_operator.api.words import clip, did_you_mean, listing, show

GROUP = "hpo.study"
VERSION = "v1alpha1"

DnsName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]


def seconds(duration: str) -> int:
    """``8h30m`` -> 30600."""
    return sum(int(n) * {"h": 3600, "m": 60, "s": 1}[u] for n, u in re.findall(r"([0-9]+)([hms])", duration))


class Objective(ApiModel):
    """What is optimised."""

    metric: str = Field(
        pattern=r"^[A-Za-z_:][A-Za-z0-9_:]*$",
        max_length=128,
        description="Name of the metric, as the trainer reports it: accuracy, dice, validation_loss, or one of your own.",
    )
    direction: Literal["Maximize", "Minimize"] = Field(description="Whether large or small values are good.")
    target: float | None = Field(None, description="The study succeeds as soon as a trial reaches this value.")
    prometheus: PrometheusQuery | None = Field(
        None, description="Ask a Prometheus server. Where it has no answer, what the trial itself reported counts."
    )


class Budget(ApiModel):
    """When to stop, and how much to use at once. May be changed while the study runs."""

    trials: int = Field(ge=1, le=100000, description="Number of trials.")
    parallelism: int = Field(
        1, ge=0, le=1024, description="Trials that run at the same time. 0: none begins, and those that run go on."
    )
    failed_trials: int | None = Field(
        None,
        ge=0,
        le=100000,
        description="The study fails when more trials than this have failed. Absent: half of trials, at least 3. Interrupted trials do not count.",
    )
    gpu_hours: float | None = Field(
        None, gt=0, description="The study ends when its Pods have used this many GPU-hours."
    )
    wall_clock: Duration | None = Field(
        None, description="The study ends this long after its start, such as 8h or 90m."
    )

    rules = (
        Rule(
            "!has(self.failedTrials) || self.failedTrials <= self.trials",
            "expected failedTrials <= trials",
            lambda s: s.failed_trials is None or s.failed_trials <= s.trials,
            "failedTrials",
            lambda s: f"failedTrials {s.failed_trials} and trials {s.trials}",
        ),
        Rule(
            "!has(self.wallClock) || self.wallClock.matches('[1-9]')",
            "expected a duration above 0",
            lambda s: s.wall_clock is None or seconds(s.wall_clock) > 0,
            "wallClock",
            lambda s: show(s.wall_clock),
        ),
    )

    @property
    def failure_limit(self) -> int:
        return max(3, self.trials // 2) if self.failed_trials is None else self.failed_trials


class Volume(ApiModel):
    """A persistent volume claim in the study's namespace."""

    claim_name: DnsName = Field(description="Name of the PersistentVolumeClaim.")
    sub_path: str = Field(
        "",
        max_length=256,
        pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$",
        description="Folder inside the volume; empty: its root.",
    )

    rules = (
        Rule(
            "!has(self.subPath) || !self.subPath.matches('(^|/)[.][.](/|$)')",
            "expected a subPath without ..",
            lambda s: ".." not in s.sub_path.split("/"),
            "subPath",
            lambda s: show(s.sub_path),
        ),
    )


class Resources(ApiModel):
    """What a trial's container asks for, as in any Pod; GPUs as `nvidia.com/gpu` under limits."""

    requests: dict[str, Quantity] = Field({}, max_length=16, description="Guaranteed amounts.")
    limits: dict[str, Quantity] = Field({}, max_length=16, description="Upper limits.")


_TRAINERS = (*TASKS, "podTemplate")
"""The fields of a Trainer of which exactly one is given."""


class Trainer(ApiModel):
    """What trains a trial: a built-in task, or a Pod template of your own."""

    classification: ClassificationTask | None = Field(None, description="Built-in task: image classification.")
    segmentation: SegmentationTask | None = Field(None, description="Built-in task: image segmentation.")
    template_deformation: TemplateDeformationTask | None = Field(
        None, description="Built-in task: segmentation by deforming a template."
    )
    transfer_classification: TransferClassificationTask | None = Field(
        None, description="Built-in task: a trained classification network for other images."
    )
    transfer_segmentation: TransferSegmentationTask | None = Field(
        None, description="Built-in task: a trained segmentation network for another population."
    )
    pod_template: dict[str, Any] | None = Field(
        None,
        description="A Pod template (metadata and spec). Its container named `trainer`, or else the first, is the trial's; it gets its parameters as HPO_* environment variables.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    image: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="Image of a built-in task. Absent: the one that the operator was installed with.",
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None, description="As in any container."
    )
    data: Volume | None = Field(None, description="Volume with the data set, mounted read-only.")
    checkpoints: Volume | None = Field(
        None,
        description="Volume for checkpoints; each trial sees a folder of its own. Absent: a scratch folder that ends with the Pod.",
    )
    resources: Resources = Field(Resources(), description="CPU, memory and GPUs of a trial.")
    node_selector: dict[str, str] = Field({}, max_length=32, description="Labels of the nodes that trials may run on.")
    termination_grace_period_seconds: int = Field(
        30, ge=0, le=3600, description="Time to write a checkpoint when a trial is told to stop."
    )

    rules = (
        Rule(
            f"[{', '.join(f'has(self.{name})' for name in _TRAINERS)}].filter(x, x).size() == 1",
            f"expected exactly one of {', '.join(_TRAINERS)}",
            lambda s: len(_given(s)) == 1,
            "",
            lambda s: listing(list(_given(s))) or "none",
        ),
        Rule(
            f"has(self.data) || !({' || '.join(f'has(self.{name})' for name in TASKS)})",
            "expected a data volume for a built-in task",
            lambda s: s.data is not None or s.task is None,
            "data",
            lambda s: "none",
        ),
        Rule(
            "!has(self.podTemplate) || !has(self.image)",
            "expected no image beside podTemplate, whose containers name their own",
            lambda s: s.pod_template is None or s.image is None,
            "image",
            lambda s: show(s.image),
        ),
        Rule(
            "!has(self.podTemplate) || !has(self.imagePullPolicy)",
            "expected no imagePullPolicy beside podTemplate, whose containers have their own",
            lambda s: s.pod_template is None or s.image_pull_policy is None,
            "imagePullPolicy",
            lambda s: s.image_pull_policy,
        ),
        Rule(
            "!has(self.podTemplate) || (size(self.resources.requests) == 0 && size(self.resources.limits) == 0)",
            "expected no resources beside podTemplate, whose containers have their own",
            lambda s: s.pod_template is None or not (s.resources.requests or s.resources.limits),
            "resources",
            lambda s: listing(map(clip, sorted({*s.resources.requests, *s.resources.limits}))),
        ),
    )

    @property
    def task(self) -> tuple[str, Task] | None:
        """Name and configuration of the built-in task, or None for a Pod template."""
        return next(((name, given) for name, given in _given(self).items() if name in TASKS), None)


def _given(t: Trainer) -> dict[str, Any]:
    """What trains, by the name that users write; exactly one in a valid study."""
    fields = {field.alias or name: getattr(t, name) for name, field in Trainer.model_fields.items()}
    return {name: fields[name] for name in _TRAINERS if fields[name] is not None}


class StudySpec(ApiModel):
    """What the study searches, how, and with what."""

    objective: Objective = Field(description="What is optimised.")
    parameters: list[Parameter] = Field(
        min_length=1,
        max_length=64,
        description="The search space.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    algorithm: Algorithm = Field(Algorithm(), description="The search algorithm.")
    fidelity: Fidelity | None = Field(
        None, description="The resource that makes a trial cheap or exact. Absent: every trial runs to its own end."
    )
    second_objective: SecondObjective | None = Field(
        None, description="GP only: something else to optimise. The search is then for the Pareto front of both."
    )
    constraints: list[Constraint] = Field(
        [], max_length=8, description="Bounds on other metrics; the GP's search keeps to them."
    )
    initial_points: list[Annotated[dict[str, ValueText], Field(max_length=64)]] = Field(
        [], max_length=64, description="Configurations that the first trials try; values as text."
    )
    beliefs: list[Belief] = Field(
        [], max_length=64, description="GP only: where the best values are thought to be; wrong ones fade."
    )
    budget: Budget = Field(description="When to stop, and how much to use at once.")
    suspend: bool = Field(
        False,
        description="Give all Pods back, after their checkpoints, and start none; false again: go on from there. The wall clock stands meanwhile.",
    )
    retention: Retention = Field(Retention(), description="What of ended trials is kept.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Same seed, same history: same suggestions.")
    trainer: Trainer = Field(description="What trains a trial.")

    rules = (
        Rule(
            "!has(self.secondObjective) || self.algorithm.scheduler.type == 'None'",
            "expected no scheduler with two objectives",
            lambda s: s.second_objective is None or s.algorithm.scheduler.type == "None",
            "algorithm.scheduler.type",
            lambda s: s.algorithm.scheduler.type,
        ),
        Rule(
            "self.algorithm.sampler.type == 'GP' || (!has(self.secondObjective) && size(self.beliefs) == 0)",
            "expected secondObjective and beliefs only with the sampler GP",
            lambda s: s.algorithm.sampler.type == "GP" or (s.second_objective is None and not s.beliefs),
            "algorithm.sampler.type",
            lambda s: s.algorithm.sampler.type,
        ),
        Rule(
            "self.algorithm.scheduler.type == 'None' || has(self.fidelity)",
            "expected a fidelity for a scheduler",
            lambda s: s.algorithm.scheduler.type == "None" or s.fidelity is not None,
            "fidelity",
            lambda s: "none",
        ),
        Rule(
            "self.algorithm.scheduler.type in ['None', 'MedianStopping'] || !has(self.fidelity) || self.fidelity.max >= self.fidelity.min * self.fidelity.eta",
            "expected fidelity.max of at least fidelity.min * fidelity.eta, so that there is a second rung",
            lambda s: (
                s.algorithm.scheduler.type in ("None", "MedianStopping")
                or s.fidelity is None
                or s.fidelity.max >= s.fidelity.min * s.fidelity.eta
            ),
            "fidelity.max",
            lambda s: f"max {s.fidelity.max} with min {s.fidelity.min} and eta {s.fidelity.eta}",
        ),
        Rule(
            "self.algorithm.sampler.type != 'Grid' || self.parameters.all(p, !has(p.float) || has(p.float.step))",
            "expected a step for the Grid sampler",
            lambda s: s.algorithm.sampler.type != "Grid" or not list(_continua(s)),
            lambda s: f"parameters[{next(_continua(s))}].float",
            lambda s: "none",
        ),
        Rule(
            "has(self.trainer.podTemplate) || !has(self.fidelity) || self.fidelity.resource == 'epochs'",
            "expected the resource epochs for a built-in task",
            lambda s: s.trainer.pod_template is not None or s.fidelity is None or s.fidelity.resource == "epochs",
            "fidelity.resource",
            lambda s: show(s.fidelity.resource),
        ),
        Rule(
            "self.parameters.all(p, !has(p.when) || self.parameters.exists(q, q.name == p.when.parameter))",
            "expected every condition to name a parameter of the study",
            lambda s: all(
                p.when is None or any(q.name == p.when.parameter for q in s.parameters) for p in s.parameters
            ),
            lambda s: f"parameters[{_orphan(s)[0]}].when.parameter",
            lambda s: _orphan(s)[1],
        ),
    )

    @cached_property
    def digests(self) -> dict[str, str]:
        """A fingerprint of each section that may not change."""
        sections = self.dump()
        texts = {name: json.dumps(sections.get(name), sort_keys=True) for name in IMMUTABLE}
        return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


def _continua(spec: StudySpec) -> Iterator[int]:
    """Indices of the parameters without a finite number of values."""
    return (i for i, p in enumerate(spec.parameters) if p.float_ is not None and p.float_.step is None)


def _orphan(spec: StudySpec) -> tuple[int, str]:
    """The first parameter whose condition names no parameter: its index, and the name with what may have been meant."""
    names = [p.name for p in spec.parameters]
    index, name = next(
        (i, p.when.parameter) for i, p in enumerate(spec.parameters) if p.when and p.when.parameter not in names
    )
    close = did_you_mean(name, names)
    return index, show(name) + (f"; did you mean {close}?" if close else "")


IMMUTABLE = (
    "objective", "parameters", "algorithm", "fidelity", "secondObjective", "constraints", "initialPoints", "beliefs",
    "seed", "trainer",
)  # fmt: skip
"""Sections of the spec that decide what a suggestion is: they may not change once trials exist. The budget may."""


class Study(ApiModel):
    """An HPOStudy without its Kubernetes envelope."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: StudySpec
    status: StudyStatus
