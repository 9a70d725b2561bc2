"""Studies on real learning curves (TaskSet), in the cluster that the engine's tests use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from search.problems import problem
from search.problems.taskset import TASKS, TaskSet

from engine.studies import Cluster
from hpo_engine.parameters import FloatArray
from hpo_engine.study import Fidelity, Objective, SamplerSettings, SchedulerName, Study
from hpo_engine.trial import Parameters

__all__ = ["TASKS", "best_final", "curves_of", "run_study", "task", "trained_to"]


def task(name: str) -> TaskSet:
    found = problem(name)
    assert isinstance(found, TaskSet)  # asked for by a name in TASKS
    return found


def curves_of(name: str) -> Callable[[Parameters, int], float]:
    """For one run: the loss of a configuration after some resource; each configuration keeps the curve it drew."""
    fresh, drawn = task(name).begin(), dict[str, FloatArray]()

    def loss(parameters: Parameters, resource: int) -> float:
        key = fresh.space.key(parameters)
        if key not in drawn:
            drawn[key] = fresh.curve(parameters, 0).observed
        return float(drawn[key][resource - 1])

    return loss


def run_study(
    name: str, sampler: SamplerSettings, fidelity: Fidelity, scheduled: bool, trials: int, seed: int
) -> Cluster:
    """Sequential, from the first plan to the last."""
    scheduler: SchedulerName = "Hyperband" if scheduled else "None"
    study = Study(task(name).space, Objective("loss", False), trials, seed, sampler, scheduler, fidelity)
    return Cluster(study, curves_of(name)).run()


def trained_to(cluster: Cluster, resource: int) -> list[float]:
    """Finite losses of the trials that were measured at ``resource``."""
    values = (trial.value_at(resource) for trial in cluster.trials.values())
    return [value for value in values if value is not None and np.isfinite(value)]


def best_final(cluster: Cluster, resource: int) -> float:
    """The best loss of a fully trained configuration; infinite when none was."""
    return min(trained_to(cluster, resource), default=float("inf"))
