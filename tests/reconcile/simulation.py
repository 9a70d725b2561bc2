"""The virtual cluster for tests of ``decide``: whatever can happen to a Pod (interruption, deletion, loss, failure) is
a method; a crash is a decision performed in part.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from random import Random
from typing import Any

from hpo_operator.simulation.cluster import VirtualCluster
from hpo_operator.simulation.plain import Asked, Raw, Run
from reconcile.objects import NOW, SETTINGS, measured

__all__ = ["Raw", "Run", "SimulatedCluster", "Train", "dice", "performed_in_part"]

Train = Callable[[dict[str, Any], int], Run]


def dice(parameters: dict[str, Any], resource: int) -> Run:
    """A landscape with its best point at learningRate 0.01, depth 3, that rises with the resource."""
    miss = abs(math.log10(parameters["learningRate"]) + 2) + abs(parameters["depth"] - 3)
    value = 1 / (1 + miss) - (0.5 / resource if resource else 0)
    return Run(measured(value), seconds=10.0 * parameters["depth"] * max(1, resource))


class SimulatedCluster(VirtualCluster):
    """One study whose trials are a function of (parameters, resource)."""

    def __init__(self, study: Raw, train: Train = dice) -> None:
        super().__init__(study, self.trained, SETTINGS, NOW)
        self.train = train

    def trained(self, asked: Asked) -> Run:
        return self.train(asked.parameters, asked.resource)

    def run(self, steps: int = 2000) -> None:
        """To the end of the study, or of what it can do."""
        for _ in range(steps):
            if not self.step():
                return
        raise AssertionError(f"not finished after {steps} steps: {self.status}")

    # What can happen to a Pod that runs.

    def interrupt(self, name: str) -> None:
        """As the built-in trainer ends on SIGTERM."""
        self._end(name, Run("", code=75))

    def evict(self, name: str) -> None:
        self._end(name, Run("", code=137))
        pod = self.pods[name]
        self.pods[name] = pod | {"status": pod["status"] | {"reason": "Evicted"}}

    def lose(self, name: str) -> None:
        """Deleted by hand, or with its node."""
        self._lose(name)

    def delete_trial(self, name: str) -> None:
        """By hand; the garbage collector takes its Pods."""
        uid = self.trials.pop(name)["metadata"]["uid"]
        for pod in [p for p, o in self.pods.items() if o["metadata"]["ownerReferences"][0]["uid"] == uid]:
            self.lose(pod)

    def edit(self, **spec: Any) -> None:
        """The user changes the study: sections of its spec."""
        metadata = self.study["metadata"]
        changed = {"metadata": metadata | {"generation": metadata["generation"] + 1}}
        self.study = self.study | changed | {"spec": self.study["spec"] | copy.deepcopy(spec)}

    def edit_budget(self, **budget: Any) -> None:
        self.edit(budget=self.study["spec"]["budget"] | budget)

    def results(self) -> dict[int, tuple[Any, ...]]:
        """By a trial's number: parameters, what was measured where, and the reason of its failure."""
        return {
            trial["spec"]["index"]: (
                tuple(trial["spec"]["parameters"].items()),
                tuple((m["resource"], m["value"]) for m in trial["status"].get("measurements", [])),
                trial["status"].get("failure", {}).get("reason"),
            )
            for trial in sorted(self.trials.values(), key=lambda trial: trial["spec"]["index"])
        }


def performed_in_part(cluster: SimulatedCluster, chance: Random, steps: int = 5000) -> None:
    """Run the study with a process that dies within decisions: only a part of each is performed, then it looks anew."""
    for _ in range(steps):
        decision = cluster.decide()
        if decision.actions:
            cluster.perform(*decision.actions[: chance.randint(0, len(decision.actions))])
        elif not cluster.advance(decision.wake_at):
            return
    raise AssertionError(f"not finished after {steps} steps: {cluster.status}")
