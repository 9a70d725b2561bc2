"""SMAC3's multi-fidelity facade (random forest, log EI, Hyperband) by its ask and tell.

Defaults, but for the number of trials: the facade draws up to a quarter of them at random first, so it is told how many
a run of this budget has, about six jobs of Hyperband per full training. A promoted configuration goes on from its
checkpoint.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from smac import MultiFidelityFacade, Scenario
from smac.runhistory.dataclasses import TrialValue

from search.cluster import BUDGETS
from search.methods.ask_tell import Ask, AskTell
from search.methods.configspaces import configuration_space
from search.methods.dimensions import parameters
from search.problems.base import Problem

JOBS_PER_TRAINING = 6


class Smac(AskTell):
    def __init__(self, name: str, problem: Problem, workers: int, seed: int) -> None:
        super().__init__(name, problem, workers, seed)
        self.folder = tempfile.TemporaryDirectory(prefix="smac-")
        scenario = Scenario(
            configuration_space(problem.space, seed),
            output_directory=Path(self.folder.name),
            deterministic=True,
            n_trials=int(JOBS_PER_TRAINING * BUDGETS[workers]),
            min_budget=1,
            max_budget=problem.max_resource,
            seed=seed,
        )

        def target(config: object, seed: int = 0, budget: float = 0.0) -> float:
            raise RuntimeError("the cluster trains, not SMAC")

        self.smac = MultiFidelityFacade(scenario, target, logging_level=False, overwrite=True)

    def ask(self) -> Ask:
        info = self.smac.ask()
        values = parameters(self.problem.space, dict(info.config))
        return Ask(values, max(1, round(info.budget)), token=info, continues=info.config)

    def tell(self, asked: Ask) -> None:
        self.smac.tell(asked.token, TrialValue(cost=asked.loss, time=1.0))
