"""Table and plot of the latency benchmark, from its raw figures alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {
    "ours": "hpo-operator",
    "botorch": "BoTorch",
    "optuna-gp": "Optuna GPSampler",
    "skopt": "scikit-optimize",
    "optuna-tpe": "Optuna TPE",
}
BOUND_MB = 100
"""The memory bound is 2 · 8 · n² bytes and this much."""


def write(raw: Mapping[str, Any], sizes: Sequence[int], folder: Path) -> None:
    parts = [
        "# Latency: one suggestion and a batch of 8 after n results, 8 dimensions\n",
        "Seconds of processor time, one thread; in brackets wall seconds under the load that the machine had then. "
        "The peers' models are made anew for each suggestion. `> limit`: stopped there; larger n were not run.\n",
        table(raw, sizes, "", "One suggestion (ours: amortised, fits of hyperparameters counted in)"),
        table(raw, sizes, "batch_", "A batch of 8"),
        own(raw, sizes),
        acquisition(raw, sizes),
        studies(folder),
        conditions(raw),
    ]
    (folder / "README.md").write_text("\n".join(part for part in parts if part))
    plot(raw, sizes, folder / "latency.png")


def table(raw: Mapping[str, Any], sizes: Sequence[int], kind: str, title: str) -> str:
    lines = [f"## {title}\n", "| n | " + " | ".join(str(n) for n in sizes) + " | growth |"]
    lines.append("| --- |" + " --- |" * (len(sizes) + 1))
    for method, name in NAMES.items():
        cells = [cell(raw.get(f"{method} {n}", {}), kind) for n in sizes]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {growth(raw, method, sizes, kind)} |")
    return "\n".join(lines) + "\n"


def cell(point: Mapping[str, Any], kind: str) -> str:
    if f"{kind}processor" in point:
        return f"{point[f'{kind}processor']:.3g} s ({point[f'{kind}wall']:.3g})"
    if "beyond" in point:
        return f"> {point['beyond']} s"
    return str(point.get("error", "not run"))[:60]


def growth(raw: Mapping[str, Any], method: str, sizes: Sequence[int], kind: str) -> str:
    """The exponent p of n^p by least squares over all measured points."""
    known = [(n, raw[f"{method} {n}"][f"{kind}processor"]) for n in sizes if measured(raw, method, n, kind)]
    if len(known) < 2:
        return ""
    n, seconds = np.log(np.array(known)).T
    return f"n^{np.polyfit(n, seconds, 1)[0]:.2f}"


def measured(raw: Mapping[str, Any], method: str, n: int, kind: str) -> bool:
    return f"{kind}processor" in raw.get(f"{method} {n}", {})


def own(raw: Mapping[str, Any], sizes: Sequence[int]) -> str:
    lines = ["## hpo-operator in more detail\n"]
    lines.append("| n | amortised | worst suggestion | empty memory | suggestions timed | peak memory | bound |")
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for n in sizes:
        p = raw.get(f"ours {n}", {})
        if "processor" in p:
            bound = (16 * n * n) / 1e6 + BOUND_MB
            lines.append(
                f"| {n} | {1e3 * p['processor']:.1f} ms | {1e3 * p['worst_processor']:.0f} ms "
                f"| {1e3 * p['cold_processor']:.0f} ms | {p['suggestions']}{'' if p['whole_span'] else ' of a span'} "
                f"| {p['peak_bytes'] / 1e6:.0f} MB | {bound:.0f} MB |"
            )
    return "\n".join(lines) + "\n"


def acquisition(raw: Mapping[str, Any], sizes: Sequence[int]) -> str:
    lines = ["## log EI found on the same posterior\n"]
    lines.append(
        "Both points are valued under the same exact posterior; the worst and the median of the seeds. BoTorch "
        "searches twice, by default and around the best observations; the better end counts, and the seconds of both.\n"
    )
    lines += ["| n | ours: worst, median | BoTorch: worst, median | ours, s | BoTorch, s |", "| --- |" + " --- |" * 4]
    for n in sizes:
        p = raw.get(f"acquisition {n}", {})
        if "ours" in p:
            values = [f"{min(p[who]):.5f}, {np.median(p[who]):.5f}" for who in ("ours", "botorch")]
            seconds = [f"{np.median(p[f'{who}_processor']):.3g}" for who in ("ours", "botorch")]
            lines.append(f"| {n} | " + " | ".join(values + seconds) + " |")
    return "\n".join(lines) + "\n"


def studies(folder: Path) -> str:
    """Of the studies that were planned from start to end."""
    lines = []
    for path in sorted(folder.glob("study_*.json")):
        known = json.loads(path.read_text())
        lines.append(
            f"## A study of {known['progress'][-1]['trials']} trials from start to end\n\n{known['slots']} slot, "
            f"scheduler {known['scheduler']}, `make bench-latency-study`, begun {known['date']}.\n\n"
            "| trials | engine seconds (processor) | slowest plan | peak memory |\n| --- | --- | --- | --- |"
        )
        for p in known["progress"][:-1]:
            memory = p["peak_bytes"] / 1e6
            lines.append(f"| {p['trials']} | {p['processor']:.0f} s | {p['worst_processor']:.2f} s | {memory:.0f} MB |")
    return "\n".join(lines) + "\n" if lines else ""


def conditions(raw: Mapping[str, Any]) -> str:
    points = [p for p in raw.values() if "date" in p]
    if not points:
        return ""
    loads = [p["load"] for p in points]
    return (
        f"`make bench-latency`, {min(p['date'] for p in points)} to {max(p['date'] for p in points)}, "
        f"{points[0]['hardware']}, 1 thread, load average {min(loads)} to {max(loads)}.\n"
    )


def plot(raw: Mapping[str, Any], sizes: Sequence[int], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.4), sharey=True, layout="constrained")
    for ax, kind, title in zip(axes, ("", "batch_"), ("one suggestion", "a batch of 8"), strict=True):
        for method, name in NAMES.items():
            known = [(n, raw[f"{method} {n}"][f"{kind}processor"]) for n in sizes if measured(raw, method, n, kind)]
            if known:
                ax.loglog(*zip(*known, strict=True), marker="o", label=name, linewidth=2.5 if method == "ours" else 1)
        ax.set(title=title, xlabel="observations", ylabel="seconds of processor time")
        ax.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(NAMES))
    figure.savefig(path, dpi=110)
