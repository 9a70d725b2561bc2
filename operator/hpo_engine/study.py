"""What a study asks for, in the engine's own words: numbers and names, nothing of Kubernetes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hpo_engine.errors import StudyError
from hpo_engine.prior_knowledge import Belief, Earlier, check_knowledge
from hpo_engine.space import Space
from hpo_engine.trial import Measurement, Parameters

SamplerName = Literal["Random", "Sobol", "Grid", "GP", "TPE"]
SchedulerName = Literal[
    "None", "SuccessiveHalving", "Hyperband", "ASHA", "AsyncHyperband", "ASHAStopping", "MedianStopping", "FreezeThaw"
]
RUNGLESS: frozenset[SchedulerName] = frozenset({"None", "MedianStopping"})
"""Schedulers that do not compare trials at rungs."""
GRID_LARGEST = 2**62
"""Configurations that can be numbered in 64 bits."""
Kernel = Literal["Matern52", "Matern32", "Matern12", "SquaredExponential"]
Acquisition = Literal["LogEI", "EI", "PI", "UCB", "Thompson"]


@dataclass(frozen=True)
class Objective:
    """The metric to optimise; ``target`` ends the study early once the incumbent reaches it."""

    metric: str
    maximize: bool
    target: float | None = None

    def loss(self, value: float) -> float:
        """The one place of the direction rule: inside the engine every objective is minimised."""
        return -value if self.maximize else value

    def reached(self, value: float) -> bool:
        return self.target is not None and self.loss(value) <= self.loss(self.target)


@dataclass(frozen=True)
class Fidelity:
    """A resource (epochs, iterations, slices): a trial gets ``minimum`` to ``maximum`` of it, in factors of ``eta``."""

    resource: str
    minimum: int
    maximum: int
    eta: int = 3

    def __post_init__(self) -> None:
        if self.minimum < 1:
            raise StudyError("fidelity.min", f"expected at least 1, found {self.minimum}")
        if self.maximum < self.minimum:
            raise StudyError("fidelity.max", f"expected at least fidelity.min = {self.minimum}, found {self.maximum}")
        if self.eta < 2:
            raise StudyError("fidelity.eta", f"expected an integer of at least 2, found {self.eta}")


@dataclass(frozen=True)
class SamplerSettings:
    """How new configurations are suggested.

    ``initial_trials`` space-filling suggestions come before the model; None lets the engine choose by dimension.
    GP only: with ``cost_aware`` the gain is per predicted second of training; with ``marginalise`` it is averaged over
    hyperparameters drawn from their posterior, instead of taken at its maximum; with ``input_warping`` numbers are
    stretched where the objective changes fast.
    """

    name: SamplerName = "GP"
    initial_trials: int | None = None
    kernel: Kernel = "Matern52"
    acquisition: Acquisition = "LogEI"
    cost_aware: bool = False
    marginalise: bool = False
    input_warping: bool = False


@dataclass(frozen=True)
class Constraint:
    """A metric that may not be above ``maximum``, or not below ``minimum``: exactly one of the two."""

    metric: str
    maximum: float | None = None
    minimum: float | None = None

    def excess(self, value: float) -> float:
        """How far ``value`` is on the wrong side of the bound; negative or 0 where the constraint holds."""
        if self.maximum is not None:
            return value - self.maximum
        assert self.minimum is not None  # checked by Study
        return self.minimum - value

    def holds(self, metrics: Mapping[str, float]) -> bool:
        """A metric that was not measured, or is no number, fulfils nothing."""
        return self.excess(metrics.get(self.metric, math.nan)) <= 0


@dataclass(frozen=True)
class Study:
    """Everything that a plan depends on, besides the trials.

    ``trials`` is the budget in trials (each index 0..trials-1 is suggested once); ``seed`` any non-negative integer.
    ``fidelity`` without a scheduler trains every trial to ``fidelity.maximum``.
    ``constraints`` and ``second`` (what else is optimised: the search then is for the Pareto front) are on metrics that
    trials report besides the objective; only the GP sampler knows of them.
    ``initial_points``: configurations that the first trials try. ``beliefs`` and ``earlier``: see prior_knowledge.
    """

    space: Space
    objective: Objective
    trials: int
    seed: int = 0
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    scheduler: SchedulerName = "None"
    fidelity: Fidelity | None = None
    constraints: tuple[Constraint, ...] = ()
    second: Objective | None = None
    initial_points: tuple[Parameters, ...] = ()
    beliefs: tuple[Belief, ...] = ()
    earlier: tuple[Earlier, ...] = ()

    def __post_init__(self) -> None:
        check_knowledge(self.space, self.initial_points, self.beliefs, self.earlier)
        for i, c in enumerate(self.constraints):
            if (c.maximum is None) == (c.minimum is None):
                raise StudyError(f"constraints[{i}]", "expected exactly one of max and min")
        if self.second is not None and self.scheduler != "None":
            raise StudyError("algorithm.scheduler.type", f"expected None with two objectives, found {self.scheduler}")
        if self.sampler.name == "Grid":
            _check_grid(self.space)
        if self.scheduler == "FreezeThaw":
            _check_freeze_thaw(self.sampler)
        if self.scheduler != "None":
            for name, wanted in (
                ("marginalise", self.sampler.marginalise),
                ("inputWarping", self.sampler.input_warping),
            ):
                if wanted:
                    raise StudyError(f"algorithm.sampler.{name}", f"expected no scheduler, found {self.scheduler}")
            if self.fidelity is None:
                raise StudyError("fidelity", f"expected a fidelity for the {self.scheduler} scheduler, found none")
            if self.scheduler not in RUNGLESS and self.fidelity.maximum < self.fidelity.minimum * self.fidelity.eta:
                low, eta = self.fidelity.minimum, self.fidelity.eta
                raise StudyError(
                    "fidelity.max",
                    f"expected at least fidelity.min * fidelity.eta = {low * eta} so that {self.scheduler} has a "
                    f"second rung, found {self.fidelity.maximum}",
                )

    def fulfils(self, measurement: Measurement) -> bool:
        """Whether all constraints hold for what was measured."""
        return all(constraint.holds(measurement.metrics) for constraint in self.constraints)


def _check_freeze_thaw(sampler: SamplerSettings) -> None:
    """Raises StudyError unless the sampler is a Gaussian process with nothing of its own to maximise."""
    wanted = "expected {} for the FreezeThaw scheduler, whose decisions are its model's, found {}"
    if sampler.name != "GP":
        raise StudyError("algorithm.sampler.type", wanted.format("GP", sampler.name))
    if sampler.acquisition != "LogEI":
        raise StudyError("algorithm.sampler.acquisition", wanted.format("LogEI", sampler.acquisition))
    if sampler.cost_aware:
        raise StudyError("algorithm.sampler.costAware", wanted.format("false", "true"))


def _check_grid(space: Space) -> None:
    """Raises StudyError unless the space has a number of configurations, and one that fits 64 bits."""
    for i, p in enumerate(space.parameters):
        if p.cells is None:
            raise StudyError(f"parameters[{i}].float", "expected a step for the Grid sampler, found none")
    size = space.size()
    if size is not None and size > GRID_LARGEST:
        raise StudyError("parameters", f"expected at most 2^62 configurations for the Grid sampler, found {size:.3g}")
