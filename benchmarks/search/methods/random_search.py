"""Uniform random search at full resource: what everyone must beat."""

from __future__ import annotations

from itertools import count

import numpy as np

from search.cluster import Decision, Job
from search.problems.base import Problem


class RandomSearch:
    takes_nan = True

    def __init__(self, name: str, problem: Problem, workers: int, seed: int) -> None:
        self.problem = problem
        self.generator = np.random.default_rng([seed, 1])
        self.indices = count()

    def decide(self, free: int) -> Decision:
        return Decision([self._job() for _ in range(free)])

    def report(self, trial: int, resource: int, loss: float) -> bool:
        return True

    def ended(self, trial: int) -> None:
        pass

    def _job(self) -> Job:
        space = self.problem.space
        parameters = space.decode(self.generator.random(space.dimension))
        return Job(next(self.indices), parameters, self.problem.max_resource)
