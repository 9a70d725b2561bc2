"""One suggestion and a batch of 8 after n results in 8 dimensions: the engine beside its peers, in one run.

    python -m benchmarks.latency [--methods NAME ...] [--limit SECONDS] [--report]

Every point is a process of its own with one thread. Its seconds are given on the wall and of the processor: on a busy
machine only the latter compare. Points beyond the limit of processor seconds are said to be beyond it, and larger ones
of that method are not run. Raw figures, table and plot go to benchmarks/results/latency/; points that
are there already are not measured again (delete raw.json to begin anew). ``--report`` only writes table and plot.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.latency.problem import SIZES
from benchmarks.latency.report import write

METHODS = ("ours", "acquisition", "optuna-tpe", "optuna-gp", "botorch", "skopt")
OURS_LIMIT = 3600
RESULTS = Path("benchmarks/results/latency")


def main(limit: int, only_report: bool, methods: Sequence[str] = METHODS) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    raw = RESULTS / "raw.json"
    for n in () if only_report else SIZES:
        for method in methods:
            known = read(raw)
            if f"{method} {n}" in known:
                continue
            before = [known.get(f"{method} {m}") for m in SIZES if m < n]
            beyond = any(isinstance(b, dict) and "beyond" in b for b in before)
            point = {"beyond": limit} if beyond else run(method, n, OURS_LIMIT if method == "ours" else limit)
            raw.write_text(json.dumps(read(raw) | {f"{method} {n}": point | about()}, indent=1) + "\n")
            print(method, n, point, flush=True)
    write(read(raw), SIZES, RESULTS)


def read(raw: Path) -> dict[str, Any]:
    return dict(json.loads(raw.read_text())) if raw.exists() else {}


def run(method: str, n: int, limit: int) -> dict[str, object]:
    """The worker's last line; what it said before it was stopped, with ``beyond``; or its error."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.latency.worker", method, str(n), str(limit)]
    done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    result: dict[str, object] = json.loads(lines[-1]) if lines else {}
    if done.returncode < 0:
        result["beyond"] = limit
    elif done.returncode > 0:
        result["error"] = done.stderr.strip().splitlines()[-1]
    return result


def about() -> dict[str, object]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": round(os.getloadavg()[0], 1),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}",
        "threads": 1,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=120)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    arguments = parser.parse_args()
    main(arguments.limit, arguments.report, arguments.methods)
