"""Spaces, objectives and a simulated cluster that the engine's tests and benchmarks share.

Everything here is deterministic: an objective is a function of the parameters and the resource, and whether a trial
fails is decided by its index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import cos, pi

import numpy as np

from hpo_engine.fidelity import rung_levels, watched_levels
from hpo_engine.memory import Memory
from hpo_engine.planner import Plan, plan
from hpo_engine.space import (
    CategoricalParameter,
    Condition,
    FloatParameter,
    IntParameter,
    OrdinalParameter,
    Space,
)
from hpo_engine.study import Fidelity, Objective, SamplerName, SamplerSettings, SchedulerName, Study
from hpo_engine.trial import Measurement, Parameters, Trial, TrialState

Loss = Callable[[Parameters, int], float]

BRANIN = Space((FloatParameter("x", -5.0, 10.0), FloatParameter("y", 0.0, 15.0)))
HARTMANN6 = Space(tuple(FloatParameter(f"x{i}", 0.0, 1.0) for i in range(6)))
MIXED = Space(
    (
        FloatParameter("learningRate", 1e-5, 1e-1, log=True),
        CategoricalParameter("optimizer", ("SGD", "Adam", "AdamW")),
        FloatParameter("momentum", 0.0, 0.99, condition=Condition("optimizer", ("SGD",))),
        FloatParameter("weightDecay", 1e-6, 1e-1, log=True, condition=Condition("optimizer", ("AdamW",))),
        IntParameter("channels", 8, 128, log=True),
        OrdinalParameter("kernelSize", (3, 5, 7)),
        IntParameter("layers", 1, 4),
        FloatParameter("dropout", 0.0, 0.5, step=0.1, condition=Condition("layers", low=2)),
    )
)
LATTICE = Space(
    (
        IntParameter("channels", 8, 64, step=8),
        CategoricalParameter("optimizer", ("SGD", "Adam", "AdamW")),
        FloatParameter("momentum", 0.0, 0.9, step=0.1, condition=Condition("optimizer", ("SGD",))),
        OrdinalParameter("kernelSize", (3, 5, 7)),
        IntParameter("layers", 1, 4),
        FloatParameter("dropout", 0.0, 0.5, step=0.1, condition=Condition("layers", low=2)),
    )
)
"""5472 configurations."""
TINY = Space(
    (
        CategoricalParameter("norm", ("batch", "instance")),
        IntParameter("groups", 1, 3, condition=Condition("norm", ("instance",))),
        OrdinalParameter("size", (1, 2.5)),
    )
)
"""Eight configurations."""
FIELD_OF_VIEW = Space(
    (
        IntParameter("blocks", 1, 5),
        IntParameter("convolutions", 1, 7),
        IntParameter("logFilters", 2, 7),
        OrdinalParameter("filterSize", (3, 5)),
        IntParameter("logRate", -7, 0),
        IntParameter("logBatch", 2, 8),
        IntParameter("epochs", 10, 100, step=10),
        CategoricalParameter("augmentation", ("yes", "no")),
    )
)
"""The 470 400 configurations of the ISBI 2017 paper, Table 1."""

HARTMANN_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def branin(p: Parameters, resource: int = 0) -> float:
    """Minimum 0.397887 at (-π, 12.275), (π, 2.275) and (9.42478, 2.475)."""
    x, y = float(p["x"]), float(p["y"])
    valley = y - 5.1 / (4 * pi**2) * x**2 + 5 / pi * x - 6
    return valley**2 + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10


def hartmann6(p: Parameters, resource: int = 0) -> float:
    """Minimum -3.32237 at (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)."""
    x = np.array([float(p[f"x{i}"]) for i in range(6)])
    exponents = np.sum(HARTMANN_A * (x - HARTMANN_P) ** 2, axis=1)
    return -float(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-exponents))


def mixed(p: Parameters, resource: int = 0) -> float:
    """A made-up training: best with AdamW, learningRate and weightDecay 1e-3, 32 channels, kernel 5, 3 layers: 0."""
    loss = (np.log10(float(p["learningRate"])) + 3) ** 2 / 2
    match p["optimizer"]:
        case "SGD":
            loss += 0.4 + 2 * (float(p["momentum"]) - 0.9) ** 2
        case "Adam":
            loss += 0.3
        case _:
            loss += 0.1 * (np.log10(float(p["weightDecay"])) + 3) ** 2
    loss += 0.3 * np.log2(float(p["channels"]) / 32) ** 2 + 0.2 * abs(float(p["kernelSize"]) - 5)
    loss += 0.25 * (float(p["layers"]) - 3) ** 2
    return float(loss + (5 * (float(p["dropout"]) - 0.2) ** 2 if "dropout" in p else 0.3))


def lattice(p: Parameters, resource: int = 0) -> float:
    """Best with Adam, 32 channels, kernel 5, 3 layers and a dropout of 0.2: 0."""
    loss = 0.3 * (float(p["channels"]) / 32 - 1) ** 2 + 0.2 * abs(float(p["kernelSize"]) - 5)
    loss += 0.0 if p["optimizer"] == "Adam" else 0.4 + float(p.get("momentum", 0.0))
    return loss + 0.25 * (float(p["layers"]) - 3) ** 2 + (5 * (float(p.get("dropout", 0.0)) - 0.2) ** 2)


def tiny(p: Parameters, resource: int = 0) -> float:
    return float(p["size"]) + (float(p["groups"]) if "groups" in p else 2.5)


def learning_curve(loss: Loss) -> Loss:
    """The same with a fidelity: it starts 3 higher, and comes down as training goes on."""
    return lambda p, resource: loss(p, resource) + 3.0 / max(1, resource)


def make_study(
    space: Space,
    sampler: SamplerName = "GP",
    scheduler: SchedulerName = "None",
    trials: int = 20,
    seed: int = 0,
    maximize: bool = False,
    fidelity: Fidelity | None = None,
    target: float | None = None,
) -> Study:
    """A study of the objective "loss"; schedulers get 1 to 9 epochs unless told otherwise."""
    if scheduler != "None" and fidelity is None:
        fidelity = Fidelity("epochs", 1, 9)
    return Study(
        space, Objective("loss", maximize, target), trials, seed, SamplerSettings(sampler), scheduler, fidelity
    )


@dataclass
class Cluster:
    """Runs a study's trials: starts what the plan says, ends them in the order of their indices.

    ``fails`` decides which trials fail, at their first rung. Under a scheduler that watches running trials they measure
    at every level on their way.
    """

    study: Study
    loss: Loss
    parallelism: int = 1
    fails: Callable[[int], bool] = lambda index: False
    trials: dict[int, Trial] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)
    resource_used: int = 0
    memory: Memory | None = None

    def plan(self) -> Plan:
        return plan(self.study, tuple(self.trials.values()), self.parallelism - len(self.running()), self.memory)

    def running(self) -> list[int]:
        return [i for i, trial in sorted(self.trials.items()) if trial.state is TrialState.RUNNING]

    def perform(self, step: Plan) -> None:
        """Record a plan as an operator would, and insist on what every plan must keep to."""
        for index in step.stop:
            assert self.trials[index].state is TrialState.RUNNING
            self.trials[index] = replace(self.trials[index], state=TrialState.STOPPED)
        for p in step.promote:
            paused = self.trials[p.index]
            assert (paused.state, paused.rung + 1) == (TrialState.REPORTED, p.rung)
            assert p.resource > paused.resource
            self.trials[p.index] = replace(
                self.trials[p.index], state=TrialState.RUNNING, rung=p.rung, resource=p.resource
            )
        for s in step.start:
            assert s.index not in self.trials
            self.trials[s.index] = Trial(s.index, s.parameters, TrialState.RUNNING, resource=s.resource)
        assert len(self.running()) <= self.parallelism

    def end(self, index: int) -> None:
        """Let a running trial report, or fail."""
        trial = self.trials[index]
        if self.fails(index) and trial.rung == 0:
            self.trials[index] = replace(trial, state=TrialState.FAILED, failure="Diverged")
        else:
            self.measure(index, trial.resource, TrialState.REPORTED)

    def go_on(self, index: int) -> None:
        """Let a running trial come to the next level at which it is watched, or to its end."""
        trial = self.trials[index]
        level = next(
            (r for r in self.levels if self.reached(trial) < r < trial.resource and not self.fails(index)), None
        )
        if level is None:
            self.end(index)
        else:
            self.measure(index, level, TrialState.RUNNING)

    def measure(self, index: int, resource: int, state: TrialState) -> None:
        trial = self.trials[index]
        self.resource_used += resource - self.reached(trial)
        value = self.study.objective.loss(self.loss(trial.parameters, resource))
        measurements = (*trial.measurements, Measurement(resource, value))
        self.trials[index] = replace(trial, state=state, measurements=measurements)

    @property
    def levels(self) -> tuple[int, ...]:
        return rung_levels(self.study) if watched_levels(self.study) else ()

    @staticmethod
    def reached(trial: Trial) -> int:
        return max((m.resource for m in trial.measurements), default=0)

    def run(self, steps: int = 10_000) -> Cluster:
        """Until the study is done, or ``steps`` trials ended or came to the next level; who is behind goes first."""
        for _ in range(steps):
            step = self.plan()
            self.plans.append(step)
            if step.done:
                return self
            self.perform(step)
            if not self.running() and step.stop:
                continue
            if not self.running():
                raise AssertionError("nothing runs, nothing begins, and the study is not done")
            self.go_on(min(self.running(), key=lambda i: (self.reached(self.trials[i]) if self.levels else 0, i)))
        return self

    def run_in_waves(self) -> Cluster:
        """Until the study is done, with plans only when nothing runs any more: fewer fits, for tests of results."""
        while not (step := self.plan()).done:
            self.plans.append(step)
            self.perform(step)
            for index in self.running():
                self.go_on(index)
        return self

    def best(self) -> float:
        """The lowest loss that any trial reported."""
        return min(self.study.objective.loss(m.value) for trial in self.trials.values() for m in trial.measurements)
