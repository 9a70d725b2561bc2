"""The page of the results: one column a size, and how the cost grows with the number of trials."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pages import command, table, write

from scale.load import ALGORITHMS

Raw = Mapping[str, Any]
RESULTS = Path(__file__).resolve().parents[1] / "results/operator"


def _seconds(value: float) -> str:
    """NaN: all trials of a study began at once, and none waited for the end of another."""
    return "-" if math.isnan(value) else f"{value:.2f} s"


ROWS: tuple[tuple[str, str, Callable[[Raw], str]], ...] = (
    ("studies ended well", "all", lambda r: f"{sum(r['studies'].values())} of {r['load']['studies']}"),
    ("Pods at once, at most", "", lambda r: f"{r['most_running']:,}"),
    ("wall time", "", lambda r: f"{r['seconds']:.0f} s"),
    ("operator: CPU", "", lambda r: f"{r['cpu_seconds']['operator']:.0f} s"),
    ("operator: cores", "≤ 1", lambda r: f"{r['cpu_seconds']['operator'] / r['seconds']:.2f}"),
    ("operator: CPU of a trial", "", lambda r: f"{1000 * r['cpu_seconds']['operator'] / r['trials']:.1f} ms"),
    ("operator: memory, idle", "≤ 150 MB", lambda r: f"{r['idle_megabytes']:.0f} MB"),
    ("operator: memory, peak", "≤ 300 MB", lambda r: f"{r['peak_megabytes']:.0f} MB"),
    ("operator: writes of a trial", "≤ 8", lambda r: f"{r['writes_per_trial']:.2f}"),
    ("operator: reads of a trial", "", lambda r: f"{r['reads_per_trial']:.2f}"),
    ("event-loop lag, p99 (its bucket's end)", "≤ 100 ms", lambda r: f"{1000 * r['lag_p99_seconds']:.0f} ms"),
    ("Pod's end to the next Pod, median", "", lambda r: _seconds(r["gap_seconds"]["p50"])),
    ("Pod's end to the next Pod, p95", "≤ 1 s", lambda r: _seconds(r["gap_seconds"]["p95"])),
    ("kubelet's own lag, p99", "", lambda r: f"{1000 * r['kubelet_lag_p99_seconds']:.0f} ms"),
    ("reconciliations that failed", "0", lambda r: f"{sum(r['errors'].values()):.0f}"),
    ("API server: CPU", "", lambda r: f"{r['cpu_seconds']['kube-apiserver']:.0f} s"),
    ("etcd: CPU", "", lambda r: f"{r['cpu_seconds']['etcd']:.0f} s"),
    ("kubelet: CPU", "", lambda r: f"{r['cpu_seconds']['kubelet']:.0f} s"),
    ("load of the machine meanwhile (1 min, mean)", "", lambda r: f"{r['machine_load']:.1f}"),
)

HOW = """`{command}`, {date}, {cores} cores ({machine}), Python {python}. The control plane is Kubernetes 1.20 of the
test stand without scheduler and controller manager; the operator runs as a process under its own service account. Pods
pretend: a process plays the kubelet, marks each Running as soon as it sees it, exposes one sample on /metrics (read
every 5 s of each running Pod), and lets it succeed after a drawn time, {seconds:g} s on average for a whole training.
Algorithms of ten studies: {mix}.

Operator, API server, etcd and kubelet share the machine's cores, with whatever else ran there: the last row. Where that
is above the number of cores, every latency here has waiting for a core in it; CPU seconds have not.{priority}"""

PRIORITY = """ These ran at a nice
value of {nice} (`nice -n {nice}` before the command): whatever else ran on the machine waited for them."""


def exponent(results: Sequence[Raw]) -> float:
    """Slope of log CPU seconds over log trials, by least squares; NaN of fewer than two sizes."""
    points = [(math.log(r["trials"]), math.log(r["cpu_seconds"]["operator"])) for r in results]
    if len(points) < 2:
        return math.nan
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def write_page(name: str, results: Sequence[Raw]) -> None:
    """``name``.md and .json under benchmarks/results/operator."""
    mix = ", ".join(f"{count} {algorithm}" for algorithm, count, _ in ALGORITHMS)
    how = HOW.format(
        command=command("operator:tests:benchmarks", "scale"),
        date=datetime.now(UTC).date(),
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
        seconds=results[0]["load"]["seconds"],
        mix=mix,
        priority=PRIORITY.format(nice=os.nice(0)) if os.nice(0) < 0 else "",
    )
    headings = ["", "aim", *(f"{r['trials']:,} trials" for r in results)]
    rows = [[label, aim, *(shown(r) for r in results)] for label, aim, shown in ROWS]
    power = f"to the power of {exponent(results):.2f} (1: linear)" if len(results) > 1 else "as one size cannot tell"
    growth = f"The operator's CPU seconds grow with the number of trials {power}."
    asked = sorted({request for r in results for request, count in r["requests"].items() if count})
    per_trial = [
        [request, *(f"{r['requests'].get(request, 0) / r['trials']:.3f}" for r in results)] for request in asked
    ]
    requests = table(["request, per trial", *(f"{r['trials']:,} trials" for r in results)], per_trial)
    write(RESULTS, name, "The operator under load", how, [table(headings, rows), growth, requests], results)
