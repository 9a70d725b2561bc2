"""``python -m scale``: loads the operator and writes what it cost; see ``make bench-operator``."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from scale.load import Load
from scale.report import write_page
from scale.run import run
from stand.build import ensure


def main() -> None:
    parser = argparse.ArgumentParser(prog="scale", description=__doc__)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 30, 100], help="of each study; one run for each")
    parser.add_argument("--parallelism", type=int, default=10, help="trials of each study that train at once")
    parser.add_argument("--seconds", type=float, default=100.0, help="of a training, on average")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds after which a run is given up")
    parser.add_argument("--keep", type=Path, help="folder for logs; else they are removed")
    parser.add_argument("--page", help="name of a page in benchmarks/results/operator; else numbers only")
    chosen = parser.parse_args()
    assets = ensure(os.environ)
    results = []
    for trials in chosen.trials:
        load = Load(chosen.studies, trials, chosen.parallelism, chosen.seconds)
        with tempfile.TemporaryDirectory(prefix="hpo-scale-") as temporary:
            folder = (chosen.keep or Path(temporary)) / f"{load.studies}x{trials}"
            results.append(run(load, folder, assets, chosen.limit))
        print(json.dumps(results[-1], indent=1), flush=True)
        if chosen.page:
            write_page(chosen.page, results)


if __name__ == "__main__":
    main()
