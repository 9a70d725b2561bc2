"""Which region of the body does an image show? The search of Bertrand et al. (ISBI 2017) on MedNIST.

The paper tunes a family of convolutional networks for slices of MRI and ends with the average of the ten best. Here the
images are MedNIST's, 20 of each of six classes train, and the ranges are smaller, for processors. Choices are made by
the errors among the 1,800 validation images; then the 1,800 of the test side are read, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from hpo_trainer import checkpoint
from medical import trained
from medical.data import mednist
from medical.report import spread, table, write
from medical.runs import Study, run_study, run_trial

SEEDS, TRIALS, EPOCHS, ENSEMBLE = (1, 2, 3, 4, 5), 20, 36, 10
COMMON: dict[str, Any] = {
    "dataset": "MedNIST", "splitFile": "splits.csv", "splitColumn": "split_block", "trainSamplesPerClass": 20,
    "imageSize": 32, "denseUnits": [256, 64], "validationInterval": 9,
}  # fmt: skip
BASELINE = COMMON | {"blocks": 5, "convolutionsPerBlock": 1, "filters": 64, "kernelSize": 3, "learningRate": 1e-3}
"""The paper's, section 2.2, but for the fully connected layers (4096 and 1024 there); batches of 8."""
SPACE: list[dict[str, Any]] = [
    {"name": "blocks", "int": {"min": 1, "max": 5}},
    {"name": "convolutionsPerBlock", "int": {"min": 1, "max": 4}},
    {"name": "filters", "ordinal": {"values": [4, 8, 16, 32]}},
    {"name": "kernelSize", "ordinal": {"values": [3, 5]}},
    {"name": "learningRate", "float": {"min": 1e-5, "max": 1.0, "scale": "Log"}},
    {"name": "batchSize", "ordinal": {"values": [4, 8, 16, 32, 64]}},
    {"name": "augmentation", "categorical": {"choices": ["true", "false"]}},
    {"name": "separable", "categorical": {"choices": ["true", "false"]}},
]
"""The paper's Table 1: up to 7 convolutions of up to 128 filters there, rates from 1e-7, batches up to 256."""
SEARCHES: dict[str, dict[str, Any]] = {
    "random": {"sampler": {"type": "Random"}},
    "GP + PI": {"sampler": {"type": "GP", "kernel": "SquaredExponential", "acquisition": "PI", "initialTrials": 8}},
    "GP + FreezeThaw": {"sampler": {"type": "GP"}, "scheduler": {"type": "FreezeThaw"}},
}


@dataclass(frozen=True)
class Judged:
    """Errors among the images of the validation and of the test side."""

    validation: int
    test: int


@dataclass(frozen=True)
class Predictions:
    """Class probabilities of one network, (N, classes), and the true classes, (N,), of both sides."""

    validation: Tensor
    test: Tensor
    labels: tuple[Tensor, Tensor]


def manifest(search: str, seed: int) -> dict[str, Any]:
    name = f"field-of-view-{search.lower().replace(' + ', '-')}-{seed}"
    trainer = {
        "classification": COMMON,
        "data": {"claimName": "data"},
        "checkpoints": {"claimName": "checkpoints"},
        "resources": {"limits": {"cpu": "1"}},
    }
    spec = {
        "objective": {"metric": "errors", "direction": "Minimize"},
        "parameters": SPACE,
        "algorithm": SEARCHES[search],
        "fidelity": {"resource": "epochs", "min": 9, "max": EPOCHS, "eta": 2},
        "budget": {"trials": TRIALS, "parallelism": 1, "failedTrials": TRIALS},
        "seed": seed,
        "trainer": trainer,
    }
    return {"apiVersion": "hpo.study/v1alpha1", "kind": "HPOStudy", "metadata": {"name": name}, "spec": spec}


def predictions(folder: Path) -> Predictions:
    """Of the network whose checkpoint lies in ``folder``."""
    classifier = trained.classifier(folder)
    found = classifier.data.test(lambda: None)
    assert found is not None
    both = (classifier.data.validation, found[1])
    with torch.inference_mode():
        sides = [classifier.logits(side.images, lambda: None).softmax(1) for side in both]
    return Predictions(sides[0], sides[1], (both[0].labels, both[1].labels))


def judged(networks: Sequence[Predictions]) -> Judged:
    """The average of the probabilities of ``networks``."""
    averages = [
        torch.stack(list(side)).mean(0) for side in zip(*((n.validation, n.test) for n in networks), strict=True)
    ]
    errors = [int((p.argmax(1) != y).sum()) for p, y in zip(averages, networks[0].labels, strict=True)]
    return Judged(errors[0], errors[1])


def ranked(study: Study) -> list[Path]:
    """Checkpoint folders of the trials that were measured; the fewest validation errors at last come first."""
    measured = [t for t in study.trials if t.get("status", {}).get("measurements")]
    last = {t["metadata"]["name"]: t["status"]["measurements"][-1]["metrics"] for t in measured}
    order = sorted(last, key=lambda name: (last[name]["errors"], last[name]["validation_loss"]))
    return [study.checkpoint_folder(name) for name in order]


def searched(search: str, seed: int) -> dict[str, Any]:
    study = run_study(manifest(search, seed))
    folders = ranked(study)
    networks = [predictions(folder) for folder in folders[:ENSEMBLE]]
    best, ensemble = judged(networks[:1]), judged(networks)
    epochs = sum(checkpoint.decode(folder / checkpoint.CURRENT)["epoch"] for folder in folders)
    trials = {"trials": len(study.trials), "measured": len(folders), "epochs": epochs}
    errors = {"validation": best.validation, "test": best.test}
    averages = {"ensemble_validation": ensemble.validation, "ensemble_test": ensemble.test}
    return {"cpu_seconds": study.cpu_seconds} | trials | errors | averages


def baseline(seed: int) -> dict[str, Any]:
    run = run_trial("classification", BASELINE, seed=seed, epochs=EPOCHS)
    best = judged([predictions(run.folder)])
    errors = {"validation": best.validation, "test": best.test}
    return {"cpu_seconds": run.cpu_seconds, "trials": 1, "measured": 1, "epochs": EPOCHS} | errors


def rows(results: dict[str, list[dict[str, Any]]]) -> Iterator[list[str]]:
    for name, runs in results.items():
        counts = [f"{mean(r[key] for r in runs):.0f}" for key in ("trials", "measured", "epochs", "cpu_seconds")]
        yield [name, *counts, *(spread([r[key] for r in runs], 1) for key in ("validation", "test"))]
        if "ensemble_test" in runs[0]:
            both = (spread([r[key] for r in runs], 1) for key in ("ensemble_validation", "ensemble_test"))
            yield [f"{name}, average of its ten best", "", "", "", "", *both]


def run() -> None:
    mednist()
    results: dict[str, list[dict[str, Any]]] = {"baseline of the paper": [], **{name: [] for name in SEARCHES}}
    for seed in SEEDS:
        results["baseline of the paper"].append(baseline(seed))
        for search in SEARCHES:
            results[search].append(searched(search, seed))
    text = (
        "Errors among 1,800 validation and 1,800 test images of MedNIST (mean and standard deviation over "
        f"{len(SEEDS)} seeds, which change the search and the first weights), 20 training images of each of six "
        f"classes, 32 × 32 pixels, {EPOCHS} epochs at most. The split keeps blocks of neighbouring files together. The "
        "network and the ten for the average are chosen by validation errors; the test side was read after that. "
        "Measured: trials that gave a result, the others diverged. Epochs and processor seconds are of a whole search."
    )
    headings = ["", "trials", "measured", "epochs", "processor s", "validation errors", "test errors"]
    write(
        "field_of_view",
        "Body regions: the search of Bertrand et al.",
        [text, table(headings, list(rows(results)))],
        results,
    )


if __name__ == "__main__":
    run()
