"""``python -m forecasts``: ``hpo simulate`` of studies, ``hpo run`` of the same, and the difference."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from pages import command, table, write
from scipy.stats import binom

from forecasts.studies import ALGORITHMS, EVEN, LOADING, TRIALS, UNEVEN, Raw, brain, brain_pilot, toy, toy_pilot
from hpo_operator.reconcile.clock import seconds_between
from hpo_operator.reconcile.pod_facts import read_pod

RESULTS = Path(__file__).resolve().parents[1] / "results" / "operator"
STATED = ("--seconds-per-epoch", str(EVEN[1]), "--startup", str(LOADING), "--scheduling", "0")
BY_CHANCE = 0.01
"""So few intervals that hold, or fewer, have this probability if four of five do; then the command fails."""
AT_ONCE = 8
"""Toys that run side by side: they sleep."""
PATH = "operator:trainer-image:tests:benchmarks"


class Bench:
    """State and files in one folder; every figure by the command that a user types."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hpo(self, *arguments: str) -> str:
        argv = [sys.executable, "-m", "hpo_operator.cli.main", *arguments]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def file(self, study: Raw) -> str:
        path = self.folder / f"{study['metadata']['name']}.yaml"
        path.write_text(yaml.safe_dump(study))
        return str(path)

    def run(self, study: Raw, *options: str) -> Raw:
        """What it cost: seconds of its Pods, seconds from start to end, Pods, units trained."""
        self.hpo("run", self.file(study), "--state", str(self.folder / "state"), "--plain", *options)
        folder = self.folder / "state" / study["metadata"]["name"]
        trials, pods = ([json.loads(p.read_text()) for p in folder.glob(f"{k}/*.json")] for k in ("trials", "pods"))
        (status,) = (json.loads(p.read_text())["status"] for p in folder.glob("study/*.json"))
        facts = [read_pod(pod) for pod in pods]
        return {
            "podSeconds": sum(seconds_between(f.started, f.finished) for f in facts),
            "gpuSeconds": sum(trial["status"].get("gpuSeconds", 0.0) for trial in trials),
            "wallSeconds": seconds_between(status["startTime"], status["completionTime"]),
            "pods": len(pods),
            "units": sum(max((m["resource"] for m in t["status"]["measurements"]), default=0) for t in trials),
            "reason": status["reason"],
        }

    def compare(self, study: Raw, basis: Sequence[str], *options: str) -> Raw:
        """Simulated, then run."""
        file, state = self.file(study), ("--state", str(self.folder / "state"))
        said = json.loads(self.hpo("simulate", file, *state, "-o", "json", *basis))
        real = self.run(study, *options)
        name, parallelism = study["metadata"]["name"], study["spec"]["budget"]["parallelism"]
        print(json.dumps({"study": name, "real": real}), flush=True)
        return {"study": name, "parallelism": parallelism, "basis": " ".join(basis), "predicted": said, "real": real}

    def toys(self, kind: str, epochs: dict[int, float], basis: Sequence[str]) -> list[Raw]:
        studies = [
            toy(f"{kind}-{algorithm.lower()}-{parallelism}", epochs, spec, TRIALS[algorithm], parallelism)
            for algorithm, spec in ALGORITHMS.items()
            for parallelism in (1, 2)
        ]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda study: self.compare(study, basis), studies))


def main() -> int:
    with TemporaryDirectory(prefix="forecasts-") as name:
        bench = Bench(Path(name))
        even = bench.toys("even", EVEN, STATED)
        bench.run(toy_pilot())
        uneven = bench.toys("uneven", UNEVEN, ("--from", "pilot"))
        data = bench.folder / "brain-mri"
        subprocess.run([sys.executable, "-m", "hpo_trainer.demo_data", str(data)], check=True)
        volume = ("--volume", f"brain-mri={data}")
        bench.run(brain_pilot(), *volume)
        real = [bench.compare(brain(), ("--from", "brain-pilot"), *volume)]
    report(even, uneven, real)
    rows = [*even, *uneven, *real]
    return 1 if binom.cdf(sum(map(within, rows)), len(rows), 0.8) < BY_CHANCE else 0


def report(even: Sequence[Raw], uneven: Sequence[Raw], real: Sequence[Raw]) -> None:
    headings = ("study", "Pod-seconds predicted", "four of five within", "real", "error")
    headings += ("wall clock predicted", "four of five within", "real", "error", "epochs predicted", "real")
    rows = [*even, *uneven, *real]
    text = (
        "Each study is simulated first and run then, by `hpo simulate` and `hpo run`; its name ends with its "
        f"parallelism. The toys sleep {LOADING:g} s, then so long for each epoch, and go on from their checkpoints. "
        f"*even*: {EVEN[1]:g} s, whatever the configuration, and simulated with `{' '.join(STATED)}`. *uneven*: "
        f"{UNEVEN[1]:g} to {UNEVEN[4]:g} s by one of two parameters, simulated with `--from` a pilot: the first eight "
        "trials for one epoch and the best of them for three. brain-tissue is the first example, its pilot its first "
        "six trials for 4 and the best of them for 12 epochs. Real Pod-seconds are from the start and the end of each "
        f"container, in whole seconds. Toys ran {AT_ONCE} studies at a time, brain-tissue by itself. What else the "
        "machine does moves the real figures, not the predicted ones."
    )
    verdict = "Largest errors: " + ", ".join(
        f"{100 * max(map(worst, kind)):.0f} % ({name})"
        for name, kind in (("even", even), ("uneven", uneven), ("brain-tissue", real))
    )
    inside, piloted = sum(map(within, rows)), (*uneven, *real)
    verdict += f". Real Pod-seconds inside the interval: {inside} of {len(rows)}, "
    verdict += f"{sum(map(within, piloted))} of {len(piloted)} with a pilot. Errors of at most 20 %: "
    near = [sum(abs(error(row, figure)) <= 0.2 for row in rows) for figure in ("podSeconds", "wallSeconds")]
    verdict += f"{near[0]} of {len(rows)} of the Pod-seconds, {near[1]} of the wall clocks."
    made = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores. `make bench-simulate`: "
    made += f"`{command(PATH, 'forecasts')}`"
    parts = [text, verdict, table(headings, [line(row) for row in rows])]
    write(RESULTS, "simulate", "Predicted and real cost of studies", made, parts, rows)


def line(row: Raw) -> tuple[object, ...]:
    said, real = row["predicted"], row["real"]
    cells: list[object] = [row["study"]]
    for figure in ("podSeconds", "wallSeconds"):
        predicted: dict[str, Any] = said[figure]
        cells += [f"{predicted['median']:.0f}", f"{predicted['low']:.0f} to {predicted['high']:.0f}"]
        cells += [f"{real[figure]:.0f}", f"{100 * error(row, figure):+.0f} %"]
    return (*cells, f"{said['units']['median']:.0f}", real["units"])


def error(row: Raw, figure: str) -> float:
    """Of the median, as a share of the real figure; positive: too much was predicted."""
    return float(row["predicted"][figure]["median"]) / float(row["real"][figure]) - 1


def worst(row: Raw) -> float:
    return max(abs(error(row, figure)) for figure in ("podSeconds", "wallSeconds"))


def within(row: Raw) -> bool:
    predicted = row["predicted"]["podSeconds"]
    return bool(predicted["low"] <= row["real"]["podSeconds"] <= predicted["high"])


if __name__ == "__main__":
    sys.exit(main())
