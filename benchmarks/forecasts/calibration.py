"""``python -m forecasts.calibration``: many studies foretold and run in virtual time, and how often it was right.

Nothing is trained and nothing waits: a made-up truth (``worlds``) stands for the trainings, so that errors are those of
the forecast alone, and there are enough of them to see whether an interval that should hold four of five does.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from pages import command, table, write

from forecasts.foretold import BASES, compared
from forecasts.worlds import world

RESULTS = Path(__file__).resolve().parents[1] / "results" / "operator"
PATH = "operator:trainer-image:tests:benchmarks"
FIGURES = ("podSeconds", "wallSeconds")
AIM = 0.2
Raw = dict[str, Any]


def rows_of(number: int) -> list[Raw]:
    return compared(world(number), number)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="forecasts.calibration")
    parser.add_argument("--worlds", type=int, default=60)
    parser.add_argument("--first", type=int, default=5000, help="number of the first world")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    rows: list[Raw] = []
    with Pool(options.processes) as pool:
        numbers = range(options.first, options.first + options.worlds)
        for found in pool.imap(rows_of, numbers):
            rows += found
            print(json.dumps(found), flush=True)
    report(rows, options.out)
    return 0


def report(rows: Sequence[Raw], folder: Path) -> None:
    text = (
        "Each world is a made-up truth with a study of 10 to 30 trials and a pilot of 5 to 10 (`worlds.py`); both "
        "run in virtual time, by the decisions of the engine. *pilot*: foretold from the pilot; *stated*: from the "
        "mean seconds of an epoch over the space and the true seconds before training. Errors are of the median "
        "forecast, as a share of what came. Inside: what came lies in the interval that should hold four of five. "
        "Width: of that interval, the median, as a share of what came."
    )
    headings = ("basis", "scheduler", "studies", *(f"{w}: {h}" for w in ("Pod-seconds", "wall clock") for h in HEADS))
    kinds = sorted({row["scheduler"] for row in rows})
    lines = [line(basis, kind, rows) for basis in BASES for kind in ("all", *kinds)]
    made = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}: `{command(PATH, 'forecasts.calibration')}`"
    write(folder, "calibration", "How often a forecast is right", made, [text, table(headings, lines)], rows)


HEADS = ("median error", "half within", "nine of ten within", f"within {AIM:.0%}", "inside", "width")


def line(basis: str, kind: str, rows: Sequence[Raw]) -> list[object]:
    chosen = [row for row in rows if row["basis"] == basis and kind in ("all", row["scheduler"])]
    cells: list[object] = [basis, kind, len(chosen)]
    for figure in FIGURES:
        cells += figures_of(figure, chosen)
    return cells


def figures_of(figure: str, rows: Sequence[Raw]) -> list[str]:
    said = [row["predicted"][figure] for row in rows]
    real = np.array([row["real"][figure] for row in rows])
    error = np.array([s["median"] for s in said]) / real - 1
    low, high = (np.array([s[end] for s in said]) for end in ("low", "high"))
    inside = (low - 1e-6 * real <= real) & (real <= high + 1e-6 * real)
    half, nine = np.quantile(np.abs(error), (0.5, 0.9))
    shares = [float(np.median(error)), half, nine, float(np.mean(np.abs(error) <= AIM)), float(np.mean(inside))]
    return [f"{100 * share:.0f} %" for share in (*shares, float(np.median((high - low) / real)))]


if __name__ == "__main__":
    sys.exit(main())
