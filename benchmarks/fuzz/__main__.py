"""``python -m fuzz [MUTANTS] [ON_SERVER] [FIRST_SEED]``: by default 10 000, 400 of them on a real API server."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pages import command, table, write
from threadpoolctl import threadpool_limits

from api.test_layers import EXAMPLES, GOOD
from fuzz.judge import Verdict, judge
from fuzz.mutants import mutant
from fuzz.server import Answers, ask
from stand.build import ensure
from stand.control_plane import ControlPlane
from stand.operator_process import OperatorProcess, install

RESULTS = Path(__file__).resolve().parents[1] / "results" / "operator"
CHUNK = 20


@cache
def studies() -> tuple[dict[str, Any], ...]:
    """All examples, and all studies at the edge of what is allowed."""
    return tuple((EXAMPLES | GOOD).values())


def judged(seed: int) -> Verdict:
    with threadpool_limits(limits=1):
        return judge(mutant(studies(), seed))


def judge_all(seeds: Sequence[int], processes: int) -> dict[int, Verdict]:
    """By seed; prints what must not happen as soon as it does."""
    found: dict[int, Verdict] = {}
    with ProcessPoolExecutor(processes) as pool:
        for seed, verdict in zip(seeds, pool.map(judged, seeds, chunksize=CHUNK), strict=True):
            found[seed] = verdict
            if verdict.problem:
                print(f"seed {seed}: {verdict.problem}", flush=True)
            if len(found) % 1000 == 0:
                print(f"{len(found)} mutants", file=sys.stderr, flush=True)
    return found


def on_server(seeds: Sequence[int]) -> Answers:
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as folder,
        ControlPlane(Path(folder), ensure(os.environ)) as plane,
    ):
        install(plane)
        operator = OperatorProcess(plane)
        operator.start()
        return ask(plane, operator, [(seed, mutant(studies(), seed)) for seed in seeds])


def main(number: int, served: int, first: int) -> int:
    began = time.monotonic()
    found = judge_all(range(first, first + number), os.cpu_count() or 1)
    seconds = time.monotonic() - began
    answers = on_server(range(first, first + served))
    report(found, answers, first, seconds)
    for problem in answers.problems:
        print(problem)
    return 1 if answers.problems or any(verdict.problem for verdict in found.values()) else 0


def report(found: dict[int, Verdict], answers: Answers, first: int, seconds: float) -> None:
    layers = Counter(v.layer for v in found.values() if not v.accepted)
    ends = Counter(v.end for v in found.values() if v.end)
    problems = {seed: v.problem.strip().splitlines()[-1] for seed, v in found.items() if v.problem}
    last = first + len(found) - 1
    text = (
        f"{len(found)} mutants (seeds {first} to {last}) of {len(studies())} valid studies, in {seconds:.0f} s. "
        "Each goes through the parser, the CRD's schema and its CEL rules, which must not refuse what the parser "
        "accepts; the Python twin of every CEL rule must agree with it; what is accepted is run in a simulated cluster "
        "to its end. The first of them are sent to a real kube-apiserver with the operator running."
    )
    rows = [
        ("accepted by the parser", sum(v.accepted for v in found.values())),
        *((f"refused, first by {layer}", count) for layer, count in sorted(layers.items())),
        *((f"ended in the simulation with {reason}", count) for reason, count in sorted(ends.items())),
        ("problems", len(problems)),
        ("sent to the API server", answers.sent),
        ("refused by it", answers.by_server),
        ("accepted by the operator", answers.accepted),
        ("refused by the operator", answers.by_operator),
        ("problems there", len(answers.problems)),
    ]
    made = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores. `make fuzz`: "
    made += f"`{command('operator:trainer-image:tests:benchmarks', 'fuzz')}`"
    raw = {"first": first, "problems": problems, "server": answers.__dict__, "rows": rows}
    write(RESULTS, "fuzz", "Mutated studies", made, [text, table(("what", "number"), rows)], raw)


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:4]]
    sys.exit(main(*given, *(10_000, 400, 1)[len(given) :]))
