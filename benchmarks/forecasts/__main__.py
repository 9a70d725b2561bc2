"""``python -m forecasts``: ``hpo simulate`` of studies, ``hpo run`` of the same, and the difference."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from pages import command, table, write

from forecasts.studies import ALGORITHMS, EPOCH, LOADING, TRIALS, Raw, brain, brain_pilot, toy, toy_pilot
from hpo_operator.reconcile.clock import seconds_between
from hpo_operator.reconcile.pod_facts import read_pod

RESULTS = Path(__file__).resolve().parents[1] / "results" / "operator"
STATED = ("--seconds-per-epoch", str(sum(EPOCH.values()) / len(EPOCH)), "--startup", str(LOADING))
PATH = "operator:trainer-image:tests:benchmarks"


class Bench:
    """State and files in one folder; every figure by the command that a user types."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, list[Raw]()

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

    def compare(self, study: Raw, *options: str, **basis: Sequence[str]) -> None:
        """Simulated by each basis, then run."""
        file, state = self.file(study), ("--state", str(self.folder / "state"))
        said = {name: json.loads(self.hpo("simulate", file, *state, "-o", "json", *how)) for name, how in basis.items()}
        real = self.run(study, *options)
        budget = study["spec"]["budget"]
        row = {
            "study": study["metadata"]["name"],
            "parallelism": budget["parallelism"],
            "real": real,
            "predicted": said,
        }
        self.rows.append(row)
        print(json.dumps({"study": row["study"], "real": real}), flush=True)


def main() -> int:
    with TemporaryDirectory(prefix="forecasts-") as name:
        bench = Bench(Path(name))
        bench.run(toy_pilot())
        for algorithm, spec in ALGORITHMS.items():
            for parallelism in (1, 2):
                study = toy(f"{algorithm.lower()}-{parallelism}", spec, TRIALS[algorithm], parallelism)
                bench.compare(study, stated=STATED, pilot=("--from", "pilot"))
        data = bench.folder / "brain-mri"
        subprocess.run([sys.executable, "-m", "hpo_trainer.demo_data", str(data)], check=True)
        volume = ("--volume", f"brain-mri={data}")
        bench.run(brain_pilot(), *volume)
        bench.compare(brain(), *volume, pilot=("--from", "brain-pilot"))
    report(bench.rows)
    return 1 if any(worst(row) > 0.2 for row in bench.rows if row["study"] != "brain-tissue") else 0


def report(rows: Sequence[Raw]) -> None:
    headings = ("study", "parallelism", "times from", "Pod-seconds predicted", "four of five within", "real", "error")
    headings += ("wall clock predicted", "four of five within", "real", "error", "epochs predicted", "real")
    cells = [line(row, basis) for row in rows for basis in row["predicted"]]
    toys = [row for row in rows if row["study"] != "brain-tissue"]
    text = (
        f"Each study is simulated first and run then, by `hpo simulate` and `hpo run`. The toy sleeps {LOADING:g} s, "
        f"then {EPOCH[1]:g} to {EPOCH[4]:g} s an epoch, by one of its two parameters, and goes on from its "
        f"checkpoint. *stated*: `{' '.join(STATED)}`, the mean over that parameter. *pilot*: `--from` a study of eight "
        "trials of at most 3 epochs with another seed, run before. Real Pod-seconds are from the start and the end of "
        "each container, in whole seconds. brain-tissue is the first example, its pilot six trials of at most 12 "
        "epochs; both ran on processor cores that other work shared, which moves the real figures, not the predicted "
        "ones."
    )
    verdict = (
        f"Largest error of the toys: {100 * max(map(worst, toys)):.0f} %; of brain-tissue: "
        f"{100 * max(worst(row) for row in rows if row not in toys):.0f} %."
    )
    made = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores. `make bench-simulate`: "
    made += f"`{command(PATH, 'forecasts')}`"
    write(
        RESULTS, "simulate", "Predicted and real cost of studies", made, [text, verdict, table(headings, cells)], rows
    )


def line(row: Raw, basis: str) -> tuple[object, ...]:
    said, real = row["predicted"][basis], row["real"]
    cells: list[object] = [row["study"], row["parallelism"], basis]
    for figure in ("podSeconds", "wallSeconds"):
        predicted: dict[str, Any] = said[figure]
        cells += [f"{predicted['median']:.0f}", f"{predicted['low']:.0f} to {predicted['high']:.0f}"]
        cells += [f"{real[figure]:.0f}", f"{100 * error(row, basis, figure):+.0f} %"]
    return (*cells, f"{said['units']['median']:.0f}", real["units"])


def error(row: Raw, basis: str, figure: str) -> float:
    """Of the median, as a share of the real figure; positive: too much was predicted."""
    return float(row["predicted"][basis][figure]["median"]) / float(row["real"][figure]) - 1


def worst(row: Raw) -> float:
    return max(abs(error(row, b, figure)) for b in row["predicted"] for figure in ("podSeconds", "wallSeconds"))


if __name__ == "__main__":
    sys.exit(main())
