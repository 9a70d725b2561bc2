"""Syne Tune's schedulers, told and asked as its own Tuner does it.

Promotion type all through: trials pause at rungs and resume from checkpoints. η = 3 from one unit on; Hyper-Tune with
four brackets, as its authors run it; everything else is the defaults. Its spaces know no conditions: all parameters
are suggested. By default the first configuration is the middle of the space, and so it is here, except for random
search, which is there to check this adapter.
"""

from __future__ import annotations

import datetime
import logging
from typing import Any

from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, lograndint, loguniform, randint, uniform
from syne_tune.optimizer.baselines import ASHA, MOBSTER, DyHPO, HyperTune, RandomSearch
from syne_tune.optimizer.scheduler import SchedulerDecision

from hpo_engine.trial import Parameters
from search.cluster import Decision, Job
from search.methods.dimensions import Dimension, dimensions, parameters
from search.problems.base import Problem

logging.disable(logging.CRITICAL)
METRIC, RESOURCE, MAXIMUM = "loss", "unit", "max_unit"
NOW = datetime.datetime(2000, 1, 1)


class SyneTune:
    takes_nan = False

    def __init__(self, name: str, problem: Problem, workers: int, seed: int) -> None:
        self.problem = problem
        self.scheduler = _scheduler(name, problem, seed)
        self.trials: dict[int, Trial] = {}
        self.last: dict[int, dict[str, Any]] = {}
        self.left: set[int] = set()
        self.targets: dict[int, int] = {}

    def decide(self, free: int) -> Decision:
        jobs: list[Job] = []
        while len(jobs) < free and (job := self._suggested()) is not None:
            jobs.append(job)
        return Decision(jobs)

    def report(self, trial: int, resource: int, loss: float) -> bool:
        self.last[trial] = {METRIC: loss, RESOURCE: resource}
        decision = self.scheduler.on_trial_result(self.trials[trial], dict(self.last[trial]))
        if decision == SchedulerDecision.CONTINUE:
            return True
        self.scheduler.on_trial_remove(self.trials[trial])
        self.left.add(trial)
        return False

    def ended(self, trial: int) -> None:
        if trial not in self.left:
            self.scheduler.on_trial_complete(self.trials[trial], dict(self.last[trial]))
        self.left.discard(trial)

    def _suggested(self) -> Job | None:
        suggestion = self.scheduler.suggest(trial_id=len(self.trials))
        if suggestion is None:
            return None
        if suggestion.spawn_new_trial_id:
            index = len(self.trials)
            self.trials[index] = Trial(index, suggestion.config, NOW)
            self.scheduler.on_trial_add(self.trials[index])
        else:
            index = int(suggestion.checkpoint_trial_id)
            if suggestion.config is not None:
                self.trials[index] = Trial(index, suggestion.config, NOW)
        config = self.trials[index].config
        return Job(index, self._parameters(config), int(config.get(MAXIMUM, self.problem.max_resource)))

    def _parameters(self, config: dict[str, Any]) -> Parameters:
        return parameters(self.problem.space, {k: v for k, v in config.items() if k != MAXIMUM})


def _scheduler(name: str, problem: Problem, seed: int) -> Any:
    space = {d.name: _domain(d) for d in dimensions(problem.space)} | {MAXIMUM: problem.max_resource}
    common: dict[str, Any] = {
        "metric": METRIC,
        "mode": "min",
        "random_seed": seed,
        "search_options": {"debug_log": False},
    }
    if name == "synetune-random":
        return RandomSearch(space, points_to_evaluate=[], **common)  # not its default: the middle of the space first
    common |= {"resource_attr": RESOURCE, "max_resource_attr": MAXIMUM, "grace_period": 1}
    if name == "synetune-dyhpo":
        return DyHPO(space, **common)
    common |= {"type": "promotion", "reduction_factor": 3}
    if name == "synetune-hypertune":
        return HyperTune(space, brackets=4, **common)
    return {"synetune-asha": ASHA, "synetune-mobster": MOBSTER}[name](space, **common)


def _domain(d: Dimension) -> Any:
    if d.kind == "choice":
        return choice(list(d.choices))
    if d.kind == "real":
        return loguniform(d.low, d.high) if d.log else uniform(d.low, d.high)
    return (lograndint if d.log else randint)(int(d.low), int(d.high))
