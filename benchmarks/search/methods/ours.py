"""The engine of this repository: ``ours-<sampler>-<scheduler>``, any pair that a study may name.

The study's budget of trials is so large that the cluster's budget ends the run. Trials that run show what they
measured so far; one that diverges is reported as the operator would, failed with the reason ``Diverged``.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import cast, get_args

from hpo_engine.memory import Memory
from hpo_engine.planner import Plan, Promotion, Suggestion, plan
from hpo_engine.study import Fidelity, Objective, SamplerName, SamplerSettings, SchedulerName, Study
from hpo_engine.trial import Measurement, Trial, TrialState
from search.cluster import Decision, Job
from search.problems.base import Problem

TRIALS = 10_000
ETA = {"FreezeThaw": 2}
"""As the documentation recommends; 3 for the others, as in their papers."""


class Ours:
    takes_nan = True

    def __init__(self, name: str, problem: Problem, workers: int, seed: int) -> None:
        sampler, scheduler = _names(name)
        self.study = Study(
            problem.space,
            Objective("loss", maximize=False),
            TRIALS,
            seed,
            SamplerSettings(cast(SamplerName, sampler)),
            cast(SchedulerName, scheduler),
            Fidelity("unit", 1, problem.max_resource, ETA.get(scheduler, 3)),
        )
        self.trials: dict[int, Trial] = {}
        self.memory = Memory()
        self.watches = _may_stop(scheduler)

    def decide(self, free: int) -> Decision:
        if not free and not self.watches:
            return Decision()
        step = plan(self.study, self._trials(), free, self.memory)
        for index in step.stop:
            self.trials[index] = replace(self.trials[index], state=TrialState.STOPPED)
        return Decision(self._begun(step), step.stop)

    def report(self, trial: int, resource: int, loss: float) -> bool:
        told = self.trials[trial]
        if math.isnan(loss):
            self.trials[trial] = replace(told, state=TrialState.FAILED, failure="Diverged")
            return False
        measurements = (*told.measurements, Measurement(resource, loss))
        self.trials[trial] = replace(told, measurements=measurements)
        return True

    def ended(self, trial: int) -> None:
        if self.trials[trial].state is TrialState.RUNNING:
            self.trials[trial] = replace(self.trials[trial], state=TrialState.REPORTED)

    def _begun(self, step: Plan) -> list[Job]:
        for p in step.promote:
            self.trials[p.index] = replace(
                self.trials[p.index], state=TrialState.RUNNING, rung=p.rung, resource=p.resource
            )
        for s in step.start:
            self.trials[s.index] = Trial(s.index, s.parameters, TrialState.RUNNING, resource=s.resource)
        begun: tuple[Promotion | Suggestion, ...] = (*step.promote, *step.start)
        return [Job(i.index, self.trials[i.index].parameters, i.resource) for i in begun]

    def _trials(self) -> Collection[Trial]:
        return tuple(self.trials.values())


def _names(name: str) -> tuple[str, str]:
    """The sampler and the scheduler of ``ours-<sampler>-<scheduler>``.

    Raises:
        ValueError: the engine has no such sampler or scheduler.
    """
    _, sampler, scheduler = name.split("-")
    if sampler not in get_args(SamplerName) or scheduler not in get_args(SchedulerName):
        samplers, schedulers = "|".join(get_args(SamplerName)), "|".join(get_args(SchedulerName))
        raise ValueError(f"{name}: expected ours-<{samplers}>-<{schedulers}>")
    return sampler, scheduler


def _may_stop(scheduler: str) -> bool:
    """Whether plans may stop what runs, so that they are wanted after every unit, even with no worker free."""
    return scheduler not in ("None", "SuccessiveHalving", "Hyperband", "ASHA", "AsyncHyperband")
