"""Tables and a plot from the raw runs alone."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, median
from typing import TypedDict

RESULTS = Path("benchmarks/results/out_of_memory")
FAILURES = 3
"""What a search is given to learn the limit from."""


class Run(TypedDict):
    """One line of the raw results: ``losses`` by trial, None where it could not be trained; the trials' ``keys``."""

    method: str
    seed: int
    gigabytes: float
    losses: list[float | None]
    keys: list[str]
    seconds: float


def late_share(run: Run) -> float | None:
    """Share of feasible suggestions after the third failure; None where there are none."""
    losses = run["losses"]
    failed = [i for i, loss in enumerate(losses) if loss is None]
    late = losses[failed[FAILURES - 1] + 1 :] if len(failed) >= FAILURES else []
    return mean(loss is not None for loss in late) if late else None


def dead_twice(run: Run) -> int:
    """How many suggestions had failed before, in the same study."""
    losses, keys = run["losses"], run["keys"]
    dead: set[str] = set()
    again = 0
    for key, loss in zip(keys, losses, strict=True):
        again += key in dead
        if loss is None:
            dead.add(key)
    return again


def best(run: Run) -> float:
    losses = run["losses"]
    return min((loss for loss in losses if loss is not None), default=float("nan"))


def row(runs: list[Run]) -> str:
    shares = sorted(share for share in map(late_share, runs) if share is not None)
    failures = [sum(loss is None for loss in run["losses"]) for run in runs]
    seconds = median(run["seconds"] / len(run["losses"]) for run in runs)
    feasible = f"{100 * mean(shares):.1f} % ({100 * shares[0]:.0f} to {100 * shares[-1]:.0f})" if shares else "–"
    return (
        f"| {feasible} | {median(failures):g} | {sum(map(dead_twice, runs))} | {median(map(best, runs)):.4f} "
        f"| {1000 * seconds:.0f} | {len(runs)} |"
    )


def write_report() -> None:
    """``table.md`` and ``feasible.png`` beside the raw runs."""
    runs = [json.loads(line) for path in sorted((RESULTS / "raw").glob("*.jsonl")) for line in path.open()]
    lines = [
        "# A hidden memory limit",
        "",
        "A made 3D U-Net training whose memory is counted, on a GPU of hidden size",
        "(`benchmarks/out_of_memory/problem.py`), 48 trials one after the other. Feasible: share of the suggestions",
        "after the third failure that could be trained, mean over seeds (worst and best seed). Dead again:",
        "suggestions of a configuration that had failed before, all seeds together.",
        "",
        "`make bench-oom` makes it again.",
    ]
    for gigabytes in sorted({run["gigabytes"] for run in runs}):
        here = [run for run in runs if run["gigabytes"] == gigabytes]
        lines += [
            "",
            f"## {gigabytes:g} GB",
            "",
            "| search | feasible after 3 failures | failures (median) | dead again | best loss (median) "
            "| ms a suggestion | seeds |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        methods = sorted({run["method"] for run in here}, key=lambda m: (not m.startswith("ours"), m))
        lines += [f"| {method} {row([run for run in here if run['method'] == method])}" for method in methods]
    (RESULTS / "table.md").write_text("\n".join(lines) + "\n")
    plot(runs)


def plot(runs: list[Run]) -> None:
    """Share of the seeds whose i-th suggestion was feasible, running mean of 5, a panel for each limit."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    limits = sorted({run["gigabytes"] for run in runs})
    figure, panels = plt.subplots(1, len(limits), figsize=(6 * len(limits), 4), sharey=True, squeeze=False)
    for panel, gigabytes in zip(panels[0], limits, strict=True):
        here = [run for run in runs if run["gigabytes"] == gigabytes]
        for method in sorted({run["method"] for run in here}, key=lambda m: (not m.startswith("ours"), m)):
            rows = [[loss is not None for loss in run["losses"]] for run in here if run["method"] == method]
            share = [mean(flags) for flags in zip(*rows, strict=True)]
            smooth = [mean(share[max(0, i - 2) : i + 3]) for i in range(len(share))]
            panel.plot(range(1, len(share) + 1), smooth, lw=2.5 if method.startswith("ours") else 1.2, label=method)
        panel.set(xlabel="suggestion", title=f"{gigabytes:g} GB", ylim=(0, 1.02))
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("share of seeds in which it could be trained")
    panels[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(RESULTS / "feasible.png", dpi=110)
