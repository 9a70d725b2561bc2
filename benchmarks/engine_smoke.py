"""Medians of the best loss after 40 trials, for every sampler on three objectives, and the time of one suggestion.

PYTHONPATH=operator:tests python benchmarks/engine_smoke.py [seeds]
"""

from __future__ import annotations

import sys
import time
from typing import get_args

import numpy as np
from threadpoolctl import threadpool_limits

from engine.studies import BRANIN, HARTMANN6, MIXED, Cluster, Loss, branin, hartmann6, make_study, mixed
from hpo_engine.planner import plan
from hpo_engine.space import FloatParameter, Space
from hpo_engine.study import SamplerName
from hpo_engine.trial import Measurement, Trial, TrialState

TRIALS = 40
OBJECTIVES: dict[str, tuple[Space, Loss]] = {
    "Branin": (BRANIN, branin),
    "Hartmann6": (HARTMANN6, hartmann6),
    "mixed, conditional": (MIXED, mixed),
}


def best_losses(space: Space, loss: Loss, sampler: SamplerName, seeds: int, parallelism: int) -> list[float]:
    return [
        Cluster(make_study(space, sampler, trials=TRIALS, seed=seed), loss, parallelism).run().best()
        for seed in range(seeds)
    ]


def suggestion_seconds(n: int, d: int) -> float:
    """Wall time of one suggestion after n measured trials in d dimensions."""
    space = Space(tuple(FloatParameter(f"x{i}", 0.0, 1.0) for i in range(d)))
    points = np.random.default_rng(0).random((n, d))
    trials = [
        Trial(i, space.decode(u), TrialState.REPORTED, measurements=(Measurement(0, float(np.sum((u - 0.4) ** 2))),))
        for i, u in enumerate(points)
    ]
    begin = time.perf_counter()
    plan(make_study(space, trials=n + 1), trials, 1)
    return time.perf_counter() - begin


def main(seeds: int) -> None:
    print(f"best loss after {TRIALS} trials, median (quartiles) of {seeds} seeds")
    for name, (space, loss) in OBJECTIVES.items():
        for sampler in get_args(SamplerName):
            for parallelism in (1, 4) if sampler == "GP" else (1,):
                low, middle, high = np.quantile(
                    best_losses(space, loss, sampler, seeds, parallelism), (0.25, 0.5, 0.75)
                )
                print(f"{name:20} {sampler:7} x{parallelism}  {middle:9.4f} ({low:.4f} to {high:.4f})", flush=True)
    for n, d in ((30, 8), (100, 8), (300, 8), (1000, 8)):
        print(f"one suggestion at n = {n}, d = {d}: {suggestion_seconds(n, d):.3f} s")


if __name__ == "__main__":
    with threadpool_limits(1):
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
