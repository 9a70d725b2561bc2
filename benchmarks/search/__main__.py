"""``python -m search run|plan|report|problems`` (see README.md in this folder)."""

from __future__ import annotations

import argparse
from pathlib import Path

from search import problems as known
from search.methods import METHODS
from search.queue import ROUND, Batch, due, installed, perform, rounds
from search.store import Key, Store

OURS = ("ours-GP-FreezeThaw", "ours-Random-None", "ours-GP-None", "ours-GP-Hyperband", "ours-TPE-Hyperband")


def main() -> None:
    args = _arguments()
    match args.command:
        case "run" | "plan":
            _run(args)
        case "report":
            from search.report import write_report  # needs matplotlib, which peers' environments lack

            write_report(Store(args.raw), args.out, _methods(args.methods), args.ours)
        case "problems":
            from search.problems.facts import table

            print(table(_problems(args.problems)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="search", description=__doc__)
    parser.add_argument("command", choices=("run", "plan", "report", "problems"))
    parser.add_argument("--methods", nargs="+", default=[], help="names, or: peers, ours (default for run: both)")
    parser.add_argument("--problems", nargs="+", default=["all"], help="names, or: dev, held-out, all")
    parser.add_argument("--workers", nargs="+", type=int, default=[4, 1, 16])
    parser.add_argument("--seeds", default="0:10", help="first:end")
    parser.add_argument("--round", type=int, default=ROUND, help="seeds that every method gets before any gets more")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--fresh", action="store_true", help="forget these runs first, as after a change of the method")
    parser.add_argument("--label", help="store a single method's runs under this name, to compare versions of it")
    parser.add_argument(
        "--timeout", type=float, default=36000.0, help="seconds for one batch: a method, a round of seeds, all problems"
    )
    parser.add_argument("--ours", default=OURS[0], help="report: the method of ours that is compared with the peers")
    parser.add_argument("--raw", type=Path, default=Store().folder, help="folder of the raw results")
    parser.add_argument("--out", type=Path, default=Store().folder.parent, help="folder of the report")
    return parser.parse_args()


def _run(args: argparse.Namespace) -> None:
    methods = [m for m in _methods(args.methods or ["peers", "ours"]) if installed(m)]
    labels = {method: args.label or method for method in methods}
    if args.label and len(methods) != 1:
        raise SystemExit("--label: expected exactly one method")
    store, names, seeds = Store(args.raw), _problems(args.problems), tuple(rounds(args.seeds))
    if args.fresh and args.command == "run":
        keys = {Key(name, workers, seed) for name in names for workers in args.workers for seed in seeds}
        for label in labels.values():
            store.forget(label, keys)
    batches = due(store, labels, names, args.workers, seeds, args.round)
    print(_estimate(store, labels, batches), flush=True)
    if args.command == "run":
        perform(batches, labels, args.raw.resolve(), args.jobs, args.timeout)


def _estimate(store: Store, labels: dict[str, str], batches: list[Batch]) -> str:
    """Hours to go, from the mean seconds of what is stored: of the same problem and workers, or else of the method."""
    total, unknown, due_runs = 0.0, 0, [(batch.method, key) for batch in batches for key in batch.keys]
    stored = {method: list(store.load(label).values()) for method, label in labels.items()}
    for method, key in due_runs:
        alike = [r for r in stored[method] if r.workers == key.workers]
        if near := [r.total for r in alike if r.problem == key.problem] or [r.total for r in alike]:
            total += sum(near) / len(near)
        else:
            unknown += 1
    return f"{len(due_runs)} runs are due; about {total / 3600:.2f} hours of one core, and {unknown} of unknown length"


def _methods(names: list[str]) -> list[str]:
    groups = {"peers": tuple(METHODS), "ours": OURS}
    return list(dict.fromkeys(m for name in names for m in groups.get(name, (name,))))


def _problems(names: list[str]) -> list[str]:
    groups = {"dev": known.DEV, "held-out": known.HELD_OUT, "all": (*known.DEV, *known.HELD_OUT)}
    return list(dict.fromkeys(p for name in names for p in groups.get(name, (name,))))


if __name__ == "__main__":
    main()
