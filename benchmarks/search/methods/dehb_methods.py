"""DEHB by its ask and tell, defaults all through, η = 3. Fidelities are rounded to whole units.

A configuration that it promotes keeps its id, so it goes on from its checkpoint.
"""

from __future__ import annotations

import tempfile

from dehb import DEHB

from search.methods.ask_tell import Ask, AskTell
from search.methods.configspaces import configuration_space
from search.methods.dimensions import parameters
from search.problems.base import Problem


class Dehb(AskTell):
    def __init__(self, name: str, problem: Problem, workers: int, seed: int) -> None:
        super().__init__(name, problem, workers, seed)
        space = configuration_space(problem.space, seed)
        self.folder = tempfile.TemporaryDirectory(prefix="dehb-")
        self.dehb = DEHB(
            f=None,
            cs=space,
            dimensions=len(problem.space.parameters),
            min_fidelity=1,
            max_fidelity=problem.max_resource,
            eta=3,
            n_workers=1,  # of its own pool, which ask and tell do without
            seed=seed,
            save_freq="end",
            log_level="CRITICAL",
            output_path=self.folder.name,
        )

    def ask(self) -> Ask:
        job = self.dehb.ask()
        values = parameters(self.problem.space, dict(job["config"]))
        return Ask(values, max(1, round(float(job["fidelity"]))), token=job, continues=int(job["config_id"]))

    def tell(self, asked: Ask) -> None:
        cost = asked.resource / self.problem.max_resource
        self.dehb.tell(asked.token, {"fitness": asked.loss, "cost": cost, "info": {}})
