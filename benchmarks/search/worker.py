"""Runs one method under its own interpreter: ``python -m search.worker METHOD PROBLEM:WORKERS:SEED...``."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings
from bisect import bisect_left
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from search.cluster import ANYTIME, BUDGETS, Cluster
from search.methods import entry, make
from search.problems import problem
from search.store import Run, Store

Steps = list[tuple[float, float, float]]
EDGES = sorted({*ANYTIME, *(10 ** (i / 20) for i in range(-60, 41))})
"""Between two of these budgets only the last step is stored; all budgets at which runs are read are among them."""


def run_once(method: str, name: str, workers: int, seed: int, label: str, described: str) -> Run:
    """A run that dies keeps what it reached until then, and why."""
    objective = problem(name).begin()
    began, error = time.perf_counter(), None
    cluster = Cluster(objective, make(method, objective, workers, seed), workers, BUDGETS[workers], seed)
    try:
        cluster.run()
    except Exception:
        error = traceback.format_exc(limit=-4)[-1500:]
        print(f"{method} {name} x{workers} seed {seed}: {error}", file=sys.stderr, flush=True)
    outcome = cluster.outcome
    return Run(
        label, described, name, workers, seed, BUDGETS[workers],
        thinned(outcome.steps),
        outcome.trials, outcome.jobs, outcome.units, round(outcome.busy, 4),
        round(outcome.seconds, 4), round(outcome.cpu, 4), round(time.perf_counter() - began, 4), error,
    )  # fmt: skip


def describe(method: str, revision: str) -> str:
    """The version of the peer's package, or the engine's revision as the caller knows it."""
    package = entry(method).package
    try:
        return f"{package} {version(package)}" if package else revision
    except PackageNotFoundError:
        return f"{package} ?"


def thinned(steps: Steps) -> Steps:
    """The last step of each interval, in seven digits."""
    kept = {
        bisect_left(EDGES, spent - 1e-9): (_short(spent), _short(loss), _short(truth)) for spent, loss, truth in steps
    }
    return list(kept.values())


def _short(x: float) -> float:
    return float(f"{x:.7g}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("method")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--revision", default="")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    described = describe(args.method, args.revision)
    for text in args.runs:
        name, workers, seed = text.split(":")
        Store(args.raw).append(run_once(args.method, name, int(workers), int(seed), args.label, described))


if __name__ == "__main__":
    main()
