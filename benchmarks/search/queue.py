"""Which runs are due, in which order, and running them one batch after another.

What matters comes first: all methods get the first round of seeds before any gets the next, and in a round the middle
number of workers before the small and the large.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from search.methods import entry
from search.store import Key, Store

ROOT = Path(__file__).resolve().parents[2]
ROUND = 10
PATHS = ("operator", "tests", "benchmarks")


@dataclass(frozen=True)
class Batch:
    """Runs of one method that share an interpreter, as importing a peer can take longer than a run."""

    method: str
    keys: tuple[Key, ...]


def due(
    store: Store,
    labels: dict[str, str],
    problems: Sequence[str],
    workers: Sequence[int],
    seeds: Sequence[int],
    size: int = ROUND,
) -> list[Batch]:
    """The batches that are not stored, in order, in rounds of ``size`` seeds.

    ``labels``: under which name each method's runs are stored.
    """
    stored = {method: store.load(label) for method, label in labels.items()}
    batches = []
    for _, group in groupby(seeds, key=lambda seed: seed // size):
        of_round = tuple(group)
        for count in workers:
            for method in labels:
                keys = tuple(Key(name, count, seed) for name in problems for seed in of_round)
                if missing := tuple(key for key in keys if key not in stored[method]):
                    batches.append(Batch(method, missing))
    return batches


def perform(batches: Sequence[Batch], labels: dict[str, str], raw: Path, jobs: int, timeout: float) -> None:
    """Runs the batches, at most ``jobs`` at once, each in a process of its own."""
    revision = _revision()
    with ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda batch: _run(batch, labels[batch.method], raw, revision, timeout), batches)
        for i, (batch, code) in enumerate(zip(batches, done, strict=True), start=1):
            note = "" if code == 0 else f" (exit code {code})"
            at = f"x{batch.keys[0].workers}, up to seed {batch.keys[-1].seed}"
            print(f"{i}/{len(batches)} {batch.method} {at}: {len(batch.keys)} runs{note}", flush=True)


def _run(batch: Batch, label: str, raw: Path, revision: str, timeout: float) -> int:
    arguments = [batch.method, *(f"{key.problem}:{key.workers}:{key.seed}" for key in batch.keys)]
    options = ["--raw", str(raw), "--label", label, "--revision", revision]
    command = [interpreter(batch.method), "-m", "search.worker", *arguments, *options]
    try:
        done = subprocess.run(
            command, env=_environment(), cwd=ROOT, timeout=timeout, check=False, stdout=subprocess.DEVNULL
        )
        return done.returncode
    except subprocess.TimeoutExpired:
        return 124


def interpreter(method: str) -> str:
    venv = entry(method).venv
    return sys.executable if venv is None else str(ROOT / ".bench-venvs" / venv / "bin" / "python")


def installed(method: str) -> bool:
    return Path(interpreter(method)).exists()


def _environment() -> dict[str, str]:
    """One thread per process, so that CPU seconds compare; and the same hash of a text everywhere."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join(str(ROOT / folder) for folder in PATHS)
    return {**os.environ, **threads, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}


def _revision() -> str:
    """The commit, with a mark where the engine differs from it."""

    def git(*arguments: str) -> str:
        answer = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return answer.stdout.strip()

    changed = "+" if git("status", "--porcelain", "--", "operator/hpo_engine") else ""
    return git("rev-parse", "--short", "HEAD") + changed


def rounds(text: str) -> Iterator[int]:
    """``0:30`` or a single seed."""
    start, _, end = text.partition(":")
    return iter(range(int(start), int(end) if end else int(start) + 1))
