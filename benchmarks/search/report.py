"""The report, from raw results alone: tables in Markdown and plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu

from search import problems as known
from search.cluster import ANYTIME, BUDGETS
from search.problems.facts import table as facts
from search.stats import Runs, common, geometric_ratio, medians, ranking, regrets
from search.store import Key, Store

SETS = {"development": known.DEV, "held-out": known.HELD_OUT}
ORDER = (4, 1, 16)
RANDOM = ("random", "ours-Random-None", "optuna-random", "synetune-random")
READ = 20
"""The budget of the comparisons with single peers."""


def write_report(store: Store, out: Path, chosen: Sequence[str] | None, main: str | None) -> None:
    """``main``: the method of ours that is compared with the peers; None: the one of ours with the best mean rank."""
    from search.plots import plot  # matplotlib is slow to import

    names = chosen or store.methods()
    runs = {method: store.load(method) for method in names}
    runs = {method: of for method, of in runs.items() if of}
    out.mkdir(parents=True, exist_ok=True)
    parts = [_head(), _coverage(runs)]
    for workers in ORDER:
        for title, problems in SETS.items():
            parts += _section(runs, main, title, problems, workers)
    parts += [_randoms(runs), _cost(runs), "## The problems\n\n" + facts(list(known.NAMES)), _errors(runs)]
    (out / "report.md").write_text("\n\n".join(filter(None, parts)) + "\n")
    plot(runs, out)


def _head() -> str:
    return (
        "# Search quality against peers\n\n"
        "Written by `python -m search report` from `raw/`. Regret: that of the configuration and resource which looked "
        "best so far, by its loss without noise; 0 is the best loss that exists, 1 a typical configuration's. Budgets "
        "are worker-time in full trainings, idle workers included. Names that end in `+curve` have made learning "
        "curves; of those all but `branin`, `hartmann6` and `mixed` have real final values and real training times. "
        "Nothing was tuned on the held-out problems."
    )


def _coverage(runs: Runs) -> str:
    rows = []
    for method, of in runs.items():
        counts = [len([key for key in of if key.workers == w]) for w in ORDER]
        seeds = [len({key.seed for key in of if key.workers == w}) for w in ORDER]
        versions = sorted({run.version for run in of.values()})
        rows.append([method, ", ".join(versions[:3]), *(f"{n} ({s})" for n, s in zip(counts, seeds, strict=True))])
    return "## Runs (and seeds) by number of workers\n\n" + _table(["method", "version", *map(str, ORDER)], rows)


def _section(runs: Runs, main: str | None, title: str, problems: Sequence[str], workers: int) -> list[str]:
    methods = [m for m in runs if any(key.workers == workers and key.problem in problems for key in runs[m])]
    tiers = _tiers(runs, methods, problems, workers)
    parts = []
    for i, tier in enumerate(tiers):
        keys = common(runs, tier, problems, workers)
        label = f"{workers} workers, {title} problems" if workers > 1 else f"1 worker, {title} problems"
        if i:
            label += ", with the slow methods (what all of them ran)"
        parts.append(f"## {label}\n\n{_ranks(runs, tier, keys, workers)}")
        parts.append(_regrets(runs, tier, keys))
        parts.append(_against(runs, tier, keys, main))
    return parts


def _tiers(runs: Runs, methods: Sequence[str], problems: Sequence[str], workers: int) -> list[list[str]]:
    """The methods with at least half as many runs as the one with most; then all that share runs with them."""
    counts = {m: len(common(runs, [m], problems, workers)) for m in methods}
    most = max(counts.values(), default=0)
    first = [m for m in methods if counts[m] >= most / 2]
    everyone = list(first)
    for m in sorted(set(methods) - set(first), key=lambda m: -counts[m]):
        if len({key.problem for key in common(runs, [*everyone, m], problems, workers)}) >= len(problems) / 2:
            everyone.append(m)
    if not first:
        return []
    return [first] if len(everyone) == len(first) else [first, everyone]


def _ranks(runs: Runs, methods: Sequence[str], keys: Sequence[Key], workers: int) -> str:
    budgets = [b for b in ANYTIME if b <= BUDGETS[workers]]
    by_budget = {b: ranking(runs, methods, keys, b) for b in budgets}
    order = np.argsort(by_budget[READ].mean)
    rows = []
    for i in order:
        row = [methods[i]]
        row += [f"{r.mean[i]:.2f} ({r.low[i]:.2f} to {r.high[i]:.2f})" for r in by_budget.values()]
        gap, low, high = by_budget[READ].ahead[i]
        rows.append([*row, f"{gap:+.2f} ({low:+.2f} to {high:+.2f})"])
    head = ["mean rank at", *map(str, budgets), f"less the best other's at {READ}"]
    n = len({key.problem for key in keys})
    return f"{len(keys)} runs of each method on {n} problems; 95 % bootstrap intervals.\n\n" + _table(head, rows)


def _regrets(runs: Runs, methods: Sequence[str], keys: Sequence[Key]) -> str:
    of = medians(runs, methods, keys, READ)
    pooled = {m: np.quantile(regrets(runs[m], keys, READ), (0.25, 0.5, 0.75)) for m in methods}
    names = sorted({key.problem for key in keys})
    lowest = {name: min(of[m][name] for m in methods) for name in names}
    rows = []
    for m in sorted(methods, key=lambda m: pooled[m][1]):
        cells = [f"**{of[m][name]:.4f}**" if of[m][name] == lowest[name] else f"{of[m][name]:.4f}" for name in names]
        low, middle, high = pooled[m]
        rows.append([m, f"{middle:.4f} ({low:.4f} to {high:.4f})", *cells])
    head = ["median regret", "all (quartiles)", *(name.removesuffix("+curve") for name in names)]
    return f"Median normalised regret at {READ}, lowest in bold:\n\n" + _table(head, rows)


def _against(runs: Runs, methods: Sequence[str], keys: Sequence[Key], main: str | None) -> str:
    """Ours beside every peer at the budget READ: ratios of medians, and where the peer is better."""
    ours = [m for m in methods if m.startswith("ours-") and m != "ours-Random-None"]
    peers = [m for m in methods if m not in ours and m not in RANDOM]
    if not ours or not peers:
        return ""
    ranks = dict(zip(methods, ranking(runs, methods, keys, READ).mean, strict=True))
    mine = main if main in ours else min(ours, key=lambda m: ranks[m])
    of = medians(runs, methods, keys, READ)
    rows = []
    for peer in sorted(peers, key=lambda m: ranks[m]):
        pooled = [float(np.median(regrets(runs[m], keys, READ))) for m in (mine, peer)]
        lost = [_loss(runs, mine, peer, [k for k in keys if k.problem == name], name) for name in of[mine]]
        ratio, mean = pooled[0] / max(pooled[1], 1e-6), geometric_ratio(of[mine], of[peer])
        rows.append([peer, f"{ratio:.2f}", f"{mean:.2f}", ", ".join(filter(None, lost)) or "nowhere"])
    head = ["peer", "ratio of medians", "geometric mean over problems", "where the peer's median is lower"]
    text = f"`{mine}` against each peer at {READ} (below 1: ours is better; * p < 0.05, Mann–Whitney, one problem):"
    return f"{text}\n\n{_table(head, rows)}"


def _loss(runs: Runs, mine: str, peer: str, keys: Sequence[Key], name: str) -> str:
    ours, theirs = (regrets(runs[m], keys, READ) for m in (mine, peer))
    if np.median(theirs) >= np.median(ours):
        return ""
    sure = len(keys) > 3 and mannwhitneyu(theirs, ours, alternative="less").pvalue < 0.05
    return f"{name.removesuffix('+curve')}{'*' if sure else ''} ({np.median(theirs):.3g} to our {np.median(ours):.3g})"


def _randoms(runs: Runs) -> str:
    """Random search out of each package must be the same within noise, or an adapter is wrong."""
    present, rows = [m for m in RANDOM if m in runs], []
    for m in present[1:]:
        keys = [key for workers in ORDER for key in common(runs, [present[0], m], known.NAMES, workers)]
        if keys:
            a, b = (regrets(runs[x], keys, READ) for x in (present[0], m))
            wins = f"{np.mean(b < a):.0%} / {np.mean(b > a):.0%}"
            rows.append([m, str(len(keys)), f"{np.median(b):.4f} to {np.median(a):.4f}", wins])
    head = ["package's random search", "runs", f"median regret at {READ} to that of `random`", "better / worse"]
    return "## Check of the adapters\n\n" + _table(head, rows) if rows else ""


def _cost(runs: Runs) -> str:
    rows = []
    for method, of in runs.items():
        row = [method]
        for workers in ORDER:
            some = [run for key, run in of.items() if key.workers == workers]
            if some:
                jobs, cpu = sum(r.jobs for r in some), sum(r.cpu for r in some)
                row.append(f"{cpu / max(1, jobs):.4f} / {cpu / len(some):.1f} / {np.mean([r.busy for r in some]):.0%}")
            else:
                row.append("")
        rows.append(row)
    head = ["CPU seconds per job / per run / workers busy", *(f"{w} workers" for w in ORDER)]
    return "## Cost of the methods\n\nOne thread each.\n\n" + _table(head, rows)


def _errors(runs: Runs) -> str:
    rows = []
    for method, of in runs.items():
        failed = [run for run in of.values() if run.error]
        if failed:
            last = (failed[0].error or "").strip().splitlines()[-1][:150].replace("|", "/")
            rows.append([method, f"{len(failed)} of {len(of)}", f"`{last}`"])
    text = "## Runs that a method ended with an error (what it had reached counts)\n\n"
    return text + _table(["method", "runs", "the first"], rows) if rows else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
