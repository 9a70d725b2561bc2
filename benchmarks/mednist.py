"""An hour of search on MedNIST beside the paper's baseline network (Bertrand et al., ISBI 2017, Table 1).

    hpo run crds/examples/03-mednist-field-of-view.yaml --volume mednist=DATA   # an hour on two cores
    python benchmarks/mednist.py --data DATA                                    # baseline, table and picture

DATA holds the folder MedNIST with one folder per class and splits.csv. The baseline is trained by the same trainer on
the same images to the same number of epochs as a full trial, once per seed, and scored on the same validation set: the
best of many trials is chosen on it, so the difference is optimistic by that choice; the test split is not touched.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from hpo_operator.cli.report import drawn
from hpo_operator.studies.objects import find_study
from hpo_operator.studies.stored_objects import Source

ROOT = Path(__file__).resolve().parents[1]
STUDY = ROOT / "crds/examples/03-mednist-field-of-view.yaml"
RESULTS = ROOT / "benchmarks/results/mednist"
BASELINE: dict[str, Any] = {
    "blocks": 5, "convolutionsPerBlock": 1, "filters": 64, "kernelSize": 3, "learningRate": 0.001, "batchSize": 8,
    "augmentation": True, "optimizer": "SGD", "momentum": 0.9, "learningRateDecay": 1e-6,
}  # fmt: skip


def train_baseline(data: Path, config: dict[str, Any], epochs: int, seed: int) -> dict[str, Any]:
    """The baseline's measurement."""
    with tempfile.TemporaryDirectory() as folder:
        message = Path(folder) / "message"
        environ = os.environ | {
            "PYTHONPATH": str(ROOT / "trainer-image"),
            "HPO_TASK": "classification",
            "HPO_CONFIG": json.dumps(config | BASELINE | {"epochs": epochs}),
            "HPO_PARAMETERS": "{}",
            "HPO_OBJECTIVE": "accuracy",
            "HPO_SEED": str(seed),
            "HPO_THREADS": "1",
            "HPO_DATA_DIR": str(data),
            "HPO_CHECKPOINT_DIR": folder,
            "HPO_TERMINATION_LOG": str(message),
        }
        subprocess.run([sys.executable, "-m", "hpo_trainer"], env=environ, check=True, stdout=subprocess.DEVNULL)
        measurement: dict[str, Any] = json.loads(message.read_text())
        return measurement


def best_at_any_rung(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """The most accurate measurement of all, also of a trial that was not trained to the end."""
    found = [(m["value"], m["resource"], t["metadata"]["name"]) for t in trials for m in t["status"]["measurements"]]
    accuracy, epochs, trial = max(found)
    return {"accuracy": accuracy, "epochs": epochs, "trial": trial}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--state", type=Path, default=Path(".hpo/mednist-field-of-view"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    spec = yaml.safe_load(STUDY.read_text())["spec"]
    epochs = spec["fidelity"]["max"]
    runs = [
        train_baseline(options.data, spec["trainer"]["classification"], epochs, seed) for seed in range(options.seeds)
    ]
    study = json.loads((options.state / "study/mednist-field-of-view.json").read_text())
    trials = [json.loads(path.read_text()) for path in sorted((options.state / "trials").glob("*.json"))]
    best = next(t for t in trials if t["metadata"]["name"] == study["status"]["best"]["trial"])
    best_metrics = best["status"]["measurements"][-1]["metrics"]
    table = {
        "epochs": epochs,
        "baseline_accuracy": [run["metrics"]["accuracy"] for run in runs],
        "baseline_errors": [run["metrics"]["errors"] for run in runs],
        "baseline_seconds": [run["seconds"] for run in runs],
        "best_accuracy": best_metrics["accuracy"],
        "best_errors": best_metrics["errors"],
        "best_parameters": best["spec"]["parameters"],
        "best_at_any_rung": best_at_any_rung(trials),
        "status": study["status"]["trials"],
        "start": study["status"]["startTime"],
        "end": study["status"]["completionTime"],
        "reason": study["status"]["reason"],
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "results.json").write_text(json.dumps(table, indent=1) + "\n")
    picture = drawn("history", find_study(Source(options.state.parent), str(options.state)))
    assert picture is not None  # its best trial has a measurement
    (RESULTS / "history.png").write_bytes(picture)
    print(json.dumps(table, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
