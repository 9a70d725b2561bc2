"""Lists of real trainings (configuration, final loss), cut out of the tables that the search benchmark uses."""

from __future__ import annotations

import numpy as np
from search.problems import problem
from search.problems.grids import Grid
from search.problems.taskset import TaskSet

from hpo_engine.analysis.table_search import Table
from hpo_engine.enumeration import Enumeration

MODELS = 600


def real_table(name: str, models: int = MODELS, seed: int = 0) -> Table:
    """``models`` of the trainings of a problem that ended in a number, drawn by ``seed``."""
    found, generator = problem(name), np.random.default_rng(seed)
    match found:
        case TaskSet():
            final = found.losses[:, -1]
            points = found.points
        case Grid():
            final = found.means
            points = np.empty((0, found.space.dimension))
        case _:
            raise ValueError(f"{name}: expected a table of real trainings")
    usable = np.flatnonzero(np.isfinite(final))
    rows = np.sort(generator.choice(usable, min(models, len(usable)), replace=False))
    chosen = points[rows] if len(points) else Enumeration(found.space).encoded(rows)
    return Table(found.space, chosen, final[rows])
