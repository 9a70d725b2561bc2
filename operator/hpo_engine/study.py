"""What a study asks for, in the engine's own words: numbers and names, nothing of Kubernetes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hpo_engine.errors import StudyError
from hpo_engine.space import Space

SamplerName = Literal["Random", "Sobol", "Grid", "GP", "TPE"]
SchedulerName = Literal[
    "None", "SuccessiveHalving", "Hyperband", "ASHA", "AsyncHyperband", "ASHAStopping", "MedianStopping"
]
RUNGLESS: frozenset[SchedulerName] = frozenset({"None", "MedianStopping"})
"""Schedulers that do not compare trials at rungs."""
GRID_LARGEST = 2**62
"""Configurations that can be numbered in 64 bits."""
Kernel = Literal["Matern52", "SquaredExponential"]
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
    ``cost_aware``: GP only, the gain is per predicted second of training.
    """

    name: SamplerName = "GP"
    initial_trials: int | None = None
    kernel: Kernel = "Matern52"
    acquisition: Acquisition = "LogEI"
    cost_aware: bool = False


@dataclass(frozen=True)
class Study:
    """Everything that a plan depends on, besides the trials.

    ``trials`` is the budget in trials (each index 0..trials-1 is suggested once); ``seed`` any non-negative integer.
    ``fidelity`` without a scheduler trains every trial to ``fidelity.maximum``.
    """

    space: Space
    objective: Objective
    trials: int
    seed: int = 0
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    scheduler: SchedulerName = "None"
    fidelity: Fidelity | None = None

    def __post_init__(self) -> None:
        if self.sampler.name == "Grid":
            _check_grid(self.space)
        if self.scheduler != "None":
            if self.fidelity is None:
                raise StudyError("fidelity", f"expected a fidelity for the {self.scheduler} scheduler, found none")
            if self.scheduler not in RUNGLESS and self.fidelity.maximum < self.fidelity.minimum * self.fidelity.eta:
                low, eta = self.fidelity.minimum, self.fidelity.eta
                raise StudyError(
                    "fidelity.max",
                    f"expected at least fidelity.min * fidelity.eta = {low * eta} so that {self.scheduler} has a "
                    f"second rung, found {self.fidelity.maximum}",
                )


def _check_grid(space: Space) -> None:
    """Raises StudyError unless the space has a number of configurations, and one that fits 64 bits."""
    for i, p in enumerate(space.parameters):
        if p.cells is None:
            raise StudyError(f"parameters[{i}].float", "expected a step for the Grid sampler, found none")
    size = space.size()
    if size is not None and size > GRID_LARGEST:
        raise StudyError("parameters", f"expected at most 2^62 configurations for the Grid sampler, found {size:.3g}")
