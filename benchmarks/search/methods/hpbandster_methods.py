"""HpBandSter's BOHB: its own iterations and config generator, driven as its ``Master`` does, without its name server.

Defaults all through, η = 3. Budgets are rounded to whole units. Workers go on from checkpoints, as HpBandSter lets them
by a configuration's id.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from hpbandster.core.dispatcher import Job as Told
from hpbandster.optimizers.bohb import BOHB
from hpbandster.optimizers.config_generators import bohb

from search.methods.ask_tell import Ask, AskTell
from search.methods.configspaces import configuration_space
from search.methods.dimensions import parameters
from search.problems.base import Problem

ETA = 3
logging.disable(logging.CRITICAL)


class HpBandSter(AskTell):
    def __init__(self, name: str, problem: Problem, workers: int, seed: int) -> None:
        super().__init__(name, problem, workers, seed)
        np.random.seed(seed)  # the generator draws from NumPy's global state
        self.master = BOHB.__new__(BOHB)  # its rules for brackets, without its threads
        self.master.config_generator = bohb.BOHB(configuration_space(problem.space, seed))
        rungs = int(np.log(problem.max_resource) / np.log(ETA)) + 1
        self.master.eta, self.master.max_SH_iter = ETA, rungs
        self.master.budgets = problem.max_resource * np.power(ETA, -np.linspace(rungs - 1, 0, rungs))
        self.iterations: list[Any] = []

    def ask(self) -> Ask:
        for iteration in self.iterations:
            if not iteration.is_finished and (run := iteration.get_next_run()) is not None:
                return self._asked(run)
        self.iterations.append(self.master.get_next_iteration(len(self.iterations), {}))
        return self.ask()

    def tell(self, asked: Ask) -> None:
        config_id, config, budget = asked.token
        told = Told(config_id, config=config, budget=budget)
        told.result = {"loss": asked.loss, "info": {}}
        self.iterations[config_id[0]].register_result(told)
        self.master.config_generator.new_result(told)

    def _asked(self, run: tuple[Any, Any, float]) -> Ask:
        config_id, config, budget = run
        resource = max(1, round(budget))
        return Ask(parameters(self.problem.space, config), resource, token=run, continues=config_id)
