"""scikit-optimize called as Katib's suggestion service calls it (pkg/suggestion/v1beta1/skopt/base_service.py).

GP, ``gp_hedge``, 10 initial points, ``acq_optimizer="auto"``; all finished trials are told at once, then as many points
as are free are asked for (with scikit-optimize's own constant liar among them, and none for those that still run).
Katib knows no conditions: all parameters are suggested. Ordinals are whole numbers here; Katib would make them
categorical, which is worse for them.
"""

from __future__ import annotations

from typing import Any

import skopt

from search.cluster import Decision, Job
from search.methods.ask_tell import Ask, AskTell
from search.methods.dimensions import dimensions, parameters
from search.problems.base import Problem


class SkoptKatib(AskTell):
    def __init__(self, name: str, problem: Problem, workers: int, seed: int) -> None:
        super().__init__(name, problem, workers, seed)
        self.dimensions = dimensions(problem.space)
        self.optimizer = skopt.Optimizer(
            [_dimension(d) for d in self.dimensions],
            base_estimator="GP",
            n_initial_points=10,
            acq_func="gp_hedge",
            acq_optimizer="auto",
            random_state=seed,
        )
        self.finished: list[Ask] = []

    def decide(self, free: int) -> Decision:
        if not free:
            return Decision()
        if self.finished:
            self.optimizer.tell([asked.token for asked in self.finished], [asked.loss for asked in self.finished])
            self.finished = []
        jobs = []
        for point in self.optimizer.ask(n_points=free):
            seen = dict(zip((d.name for d in self.dimensions), point, strict=True))
            asked = Ask(parameters(self.problem.space, seen), self.problem.max_resource, token=point)
            trial = self._trial(asked)
            self.running[trial] = asked
            jobs.append(Job(trial, asked.parameters, asked.resource))
        return Decision(jobs)

    def tell(self, asked: Ask) -> None:
        self.finished.append(asked)


def _dimension(d: Any) -> Any:
    if d.kind == "choice":
        return skopt.space.Categorical(list(d.choices), name=d.name)
    prior = "log-uniform" if d.log else "uniform"
    if d.kind == "real":
        return skopt.space.Real(d.low, d.high, prior, name=d.name)
    return skopt.space.Integer(int(d.low), int(d.high), prior, name=d.name)
