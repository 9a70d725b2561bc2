"""Run searches, or report on the runs that there are.

PYTHONPATH=operator:benchmarks python -m out_of_memory run METHOD [--seeds 0:20] [--gigabytes 11] [--fresh]
PYTHONPATH=operator:benchmarks python -m out_of_memory report
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from out_of_memory.methods import METHODS
from out_of_memory.problem import SPACE, train
from out_of_memory.report import RESULTS, Run, write_report

TRIALS = 48


def one_run(method: str, seed: int, gigabytes: float) -> Run:
    """A search of TRIALS trials, one after the other: what was suggested, what came of it, seconds of thinking."""
    search, keys, losses, seconds = METHODS[method](SPACE, TRIALS, seed), [], [], 0.0
    for _ in range(TRIALS):
        begin = time.perf_counter()
        parameters = search.ask()
        outcome = train(parameters, gigabytes)
        search.tell(parameters, outcome)
        seconds += time.perf_counter() - begin
        keys.append(SPACE.key(parameters))
        losses.append(outcome.loss)
    return {
        "method": method,
        "seed": seed,
        "gigabytes": gigabytes,
        "losses": losses,
        "keys": keys,
        "seconds": round(seconds, 3),
    }


def run(method: str, first: int, last: int, gigabytes: float, fresh: bool) -> None:
    """Append the runs that are missing to the method's file, or all of them to a new one."""
    path = RESULTS / "raw" / f"{method}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if fresh:
        kept = [r for r in kept if r["gigabytes"] != gigabytes or not first <= r["seed"] < last]
    path.write_text("".join(json.dumps(r) + "\n" for r in kept))
    there = {(r["seed"], r["gigabytes"]) for r in kept}
    for seed in range(first, last):
        if (seed, gigabytes) not in there:
            with path.open("a") as file:
                file.write(json.dumps(one_run(method, seed, gigabytes)) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="out_of_memory")
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run")
    runs.add_argument("method", nargs="+", choices=sorted(METHODS))
    runs.add_argument("--seeds", default="0:20")
    runs.add_argument("--gigabytes", type=float, default=11.0)
    runs.add_argument("--fresh", action="store_true")
    commands.add_parser("report")
    arguments = parser.parse_args()
    if arguments.command == "report":
        write_report()
        return
    first, last = (int(part) for part in arguments.seeds.split(":"))
    for method in arguments.method:
        run(method, first, last, arguments.gigabytes, arguments.fresh)


if __name__ == "__main__":
    assert Path("pyproject.toml").exists(), "run it in the repository's root"
    main()
