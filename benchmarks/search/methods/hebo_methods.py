"""HEBO at full resource, defaults all through. It knows neither conditions nor running trials.

It suggests one point at a time; the first 1 + d, at least as many as there are workers, come from its space-filling
design.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from search.methods.ask_tell import Ask, AskTell
from search.methods.dimensions import Dimension, dimensions, parameters
from search.problems.base import Problem


class Hebo(AskTell):
    def __init__(self, name: str, problem: Problem, workers: int, seed: int) -> None:
        super().__init__(name, problem, workers, seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        space = DesignSpace().parse([_dimension(d) for d in dimensions(problem.space)])
        first = max(1 + problem.space.dimension, workers)
        self.hebo = HEBO(space, rand_sample=first, scramble_seed=seed)
        self.kinds = {d.name: d.kind for d in dimensions(problem.space)}

    def ask(self) -> Ask:
        suggested = self.hebo.suggest(n_suggestions=1)
        row = suggested.iloc[0].to_dict()
        return Ask(parameters(self.problem.space, row), self.problem.max_resource, token=suggested)

    def tell(self, asked: Ask) -> None:
        self.hebo.observe(asked.token, np.array([[asked.loss]]))


def _dimension(d: Dimension) -> dict[str, Any]:
    if d.kind == "choice":
        return {"name": d.name, "type": "cat", "categories": list(d.choices)}
    if d.kind == "real":
        return {"name": d.name, "type": "pow" if d.log else "num", "lb": d.low, "ub": d.high}
    return {"name": d.name, "type": "pow_int" if d.log else "int", "lb": int(d.low), "ub": int(d.high)}
