"""Real learning curves: six tasks of TaskSet (Metz et al. 2020), as used by Wistuba et al. 2022 ("DyHPO").

1,000 optimiser settings per task, with validation losses at 51 points of a training. The first point is before any
training, so resources 1..50 are the others. A suggestion anywhere in the space gets the curve of its nearest
neighbour in the unit cube among those that the run has not drawn yet. A thousand points are so sparse in eight
dimensions that, were neighbours drawn again and again, every search that looks around its incumbent would train the
same curve over and over, and random search would win for no reason of its own; in a real study no two configurations
share a curve. The search is told the outcome as that of its own suggestion. A curve ends where it is no finite
number. No noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hpo_engine.space import FloatParameter, Space
from hpo_engine.trial import Parameters
from search.problems.base import Curve, FloatArray, data

SPACE = Space(
    (
        FloatParameter("learningRate", 1e-8, 1e1, log=True),
        FloatParameter("oneMinusBeta1", 1e-4, 1.0, log=True),
        FloatParameter("oneMinusBeta2", 1e-6, 1.0, log=True),
        FloatParameter("epsilon", 1e-10, 1e3, log=True),
        FloatParameter("l1", 1e-8, 1e1, log=True),
        FloatParameter("l2", 1e-8, 1e1, log=True),
        FloatParameter("linearDecay", 1e-7, 1e-4, log=True),
        FloatParameter("exponentialDecay", 1e-6, 1e-3, log=True),
    )
)
TASKS = {
    "taskset-lstm128-avg": ("FixedTextRNNClassification_imdb_patch128_LSTM128_avg_bs64", True),
    "taskset-irnn64": ("FixedTextRNNClassification_imdb_patch32_IRNN64_relu_last_bs128", True),
    "taskset-lstm128-embed": ("FixedTextRNNClassification_imdb_patch128_LSTM128_embed128_bs64", False),
    "taskset-gru64": ("FixedTextRNNClassification_imdb_patch32_GRU64_avg_bs128", False),
    "taskset-lstm128-b32": ("FixedTextRNNClassification_imdb_patch32_LSTM128_bs128", False),
    "taskset-vrnn64": ("FixedTextRNNClassification_imdb_patch32_VRNN64_relu_avg_bs128", False),
}
"""Our name of a task: TaskSet's, and whether it is for development."""


@dataclass
class TaskSet:
    """``losses`` (1000, 50) and ``points`` (1000, 8) in the unit cube."""

    name: str
    dev: bool
    points: FloatArray
    losses: FloatArray
    space: Space = SPACE
    max_resource: int = 50
    drawn: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    best: float = field(init=False)
    typical: float = field(init=False)
    diverged: float = field(init=False)

    def __post_init__(self) -> None:
        if not len(self.drawn):
            self.drawn = np.zeros(len(self.points), dtype=bool)
        ended = np.cumsum(~np.isfinite(self.losses), axis=1) > 0
        self.losses = np.where(ended, np.nan, self.losses)
        lowest = np.min(np.where(ended, np.inf, self.losses), axis=1)
        self.best = float(np.min(lowest))
        self.typical = float(np.median(lowest))
        self.diverged = 2.0 * float(np.nanmedian(self.losses[:, 0]))

    def begin(self) -> TaskSet:
        """The same task for one run, with no curve drawn yet."""
        return replace(self, drawn=np.zeros(len(self.points), dtype=bool))

    def curve(self, parameters: Parameters, seed: int) -> Curve:
        """The nearest curve that was not drawn before; it counts as drawn from now on."""
        distance = np.sum((self.points - self.space.encode(parameters)) ** 2, axis=1)
        nearest = int(np.argmin(np.where(self.drawn, np.inf, distance)))
        self.drawn[nearest] = True
        return Curve(self.losses[nearest], self.losses[nearest], 1 / self.max_resource)


@cache
def _table() -> tuple[dict[str, FloatArray], FloatArray]:
    arrays = data("taskset6.npz")
    settings = arrays[f"{TASKS['taskset-irnn64'][0]}/hp"].copy()  # the same thousand for every task
    settings[:, 1:3] = 1 - settings[:, 1:3]
    names = [p.name for p in SPACE.parameters]
    points = np.array([SPACE.encode(dict(zip(names, row, strict=True))) for row in settings.tolist()])
    return arrays, points


def taskset(name: str) -> TaskSet:
    task, dev = TASKS[name]
    arrays, points = _table()
    return TaskSet(name, dev, points, arrays[f"{task}/valid"][:, 1:].astype(np.float64))
