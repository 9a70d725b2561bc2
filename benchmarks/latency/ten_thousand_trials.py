"""A study of many trials planned from its first to its last, in a simulation: total engine seconds and peak memory.

PYTHONPATH=operator:. python -m benchmarks.latency.ten_thousand_trials [--trials N] [--slots S] [--scheduler NAME]

The cluster has S slots. Each step one of the running trials ends, the one that began first, and the engine plans with
one memory for the whole study; the seconds of all plans are added up. Figures are printed after every tenth of it and
kept in benchmarks/results/latency/, so that a run that was stopped tells how far it came.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

from benchmarks.latency.clock import timed
from benchmarks.latency.ours import SPACE, peak
from benchmarks.latency.problem import losses

from hpo_engine.memory import Memory
from hpo_engine.planner import Plan, plan
from hpo_engine.study import Fidelity, Objective, SchedulerName, Study
from hpo_engine.trial import Measurement, Parameters, Trial, TrialState

RESULTS = Path("benchmarks/results/latency")


@dataclass
class Progress:
    """After ``trials`` trials: seconds in all plans so far, the slowest plan, and the most memory so far."""

    trials: int
    plans: int
    wall: float
    processor: float
    worst_processor: float
    peak_bytes: int
    best: float


def loss(parameters: Parameters, resource: int) -> float:
    """With a fidelity it starts higher and comes down as training goes on."""
    return float(losses(SPACE.encode(parameters)[None, :])[0]) + (3.0 / resource if resource else 0.0)


def simulate(study: Study, slots: int) -> list[Progress]:
    trials: dict[int, Trial] = {}
    running: deque[int] = deque()
    memory, reports = Memory(), list[Progress]()
    now = Progress(0, 0, 0.0, 0.0, 0.0, 0, float("inf"))
    while True:
        step, wall, processor = timed(lambda: plan(study, trials.values(), slots - len(running), memory))
        now.plans, now.wall, now.processor = now.plans + 1, now.wall + wall, now.processor + processor
        now.worst_processor = max(now.worst_processor, processor)
        perform(step, trials, running)
        if step.done or not running:
            break
        end(trials, running.popleft(), now)
        if len(trials) >= (len(reports) + 1) * study.trials / 10:
            reports.append(report(now, trials))
    return [*reports, report(now, trials)]


def perform(step: Plan, trials: dict[int, Trial], running: deque[int]) -> None:
    for p in step.promote:
        trials[p.index] = replace(trials[p.index], state=TrialState.RUNNING, rung=p.rung, resource=p.resource)
    for s in step.start:
        trials[s.index] = Trial(s.index, s.parameters, TrialState.RUNNING, resource=s.resource)
    running.extend([*(p.index for p in step.promote), *(s.index for s in step.start)])


def end(trials: dict[int, Trial], index: int, now: Progress) -> None:
    trial = trials[index]
    value = loss(trial.parameters, trial.resource)
    now.best = min(now.best, value)
    measurements = (*trial.measurements, Measurement(trial.resource, value))
    trials[index] = replace(trial, state=TrialState.REPORTED, measurements=measurements)


def report(now: Progress, trials: dict[int, Trial]) -> Progress:
    here = replace(now, trials=len(trials), peak_bytes=peak())
    print(json.dumps(asdict(here)), flush=True)
    return here


def main(trials: int, slots: int, scheduler: SchedulerName) -> None:
    fidelity = None if scheduler == "None" else Fidelity("epochs", 1, 27)
    study = Study(SPACE, Objective("loss", maximize=False), trials, scheduler=scheduler, fidelity=fidelity)
    began = time.strftime("%Y-%m-%d %H:%M")
    reports = simulate(study, slots)
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {"date": began, "slots": slots, "scheduler": scheduler, "progress": [asdict(r) for r in reports]}
    path = RESULTS / f"study_{trials}_{scheduler.lower()}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--scheduler", default="None")
    arguments = parser.parse_args()
    main(arguments.trials, arguments.slots, cast(SchedulerName, arguments.scheduler))
