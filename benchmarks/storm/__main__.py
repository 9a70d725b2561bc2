"""``python -m storm [TRIALS]``: a study whose every trial loses its first Pod, on a real API server."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pages import command, table, write

from stand.build import ensure
from stand.cluster import start_process_node
from stand.control_plane import ControlPlane
from stand.operator_process import OperatorProcess, install
from storm.run import EPOCH_SECONDS, EPOCHS, NODE, WAYS, Trial, storm

RESULTS = Path(__file__).resolve().parents[1] / "results" / "operator"
PARALLELISM = 6


def main(trials: int) -> int:
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        volume = Path(folder) / "checkpoints"
        volume.mkdir()
        with ControlPlane(Path(folder) / "plane", ensure(os.environ)) as plane:
            start_process_node(plane)
            install(plane)
            OperatorProcess(plane).start()
            told = asyncio.run(storm(plane, "default", volume, trials, PARALLELISM))
    report(told)
    return 1 if any(trial.failed or trial.repeated for trial in told) else 0


def report(trials: Sequence[Trial]) -> None:
    rows = [row(way, [t for t in trials if t.way == way]) for way in (*WAYS, NODE)] + [row("all", trials)]
    headings = ("way", "trials", "Pods", "interruptions", "failures charged", "epochs lost", "most in one trial")
    headings += ("completed epochs repeated", "GPU-seconds stored", "GPU-seconds run", "largest difference")
    text = (
        f"A study of {len(trials)} trials of {EPOCHS} epochs of {EPOCH_SECONDS:g} s, a checkpoint after each, "
        f"{PARALLELISM} at a time with a GPU each, on a real kube-apiserver with a process node. The first Pod of "
        "every trial is taken away at a random moment of its life: deleted, deleted by force (SIGKILL, and the object "
        "is gone at once), evicted through the Eviction API; when half of the trials have begun, the node is killed "
        "and comes back, which takes all Pods that run then. Epochs lost: begun, and begun again by the next attempt. "
        "GPU-seconds run: from the start and the end of every container as its node reports them, in whole seconds; of "
        "a Pod deleted by force until its object was gone. The operator may see that a deleted Pod is gone before it "
        "sees when its container ended; it then counts up to that look."
    )
    made = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores. `make storm`: "
    made += f"`{command('operator:trainer-image:tests:benchmarks', 'storm')}`"
    raw = [dataclasses.asdict(trial) for trial in trials]
    write(RESULTS, "storm", "A storm of preemptions", made, [text, table(headings, rows)], raw)


def row(way: str, trials: Sequence[Trial]) -> tuple[object, ...]:
    return (
        way,
        len(trials),
        sum(t.attempts for t in trials),
        sum(t.interruptions for t in trials),
        sum(t.failed for t in trials),
        sum(t.lost for t in trials),
        max((t.lost for t in trials), default=0),
        sum(t.repeated for t in trials),
        f"{sum(t.gpu_seconds for t in trials):.0f}",
        f"{sum(t.pod_seconds for t in trials):.0f}",
        f"{max((abs(t.gpu_seconds - t.pod_seconds) for t in trials), default=0.0):.1f} s",
    )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 30))
