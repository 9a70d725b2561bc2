"""A classifier of adults' chest X-rays for children, of whom few are labelled: which transfer helps, which does harm?

Source: 712 adults of NIH's ChestX-ray14, pneumonia or no finding. Target: 20, 100 or all children (Kermany et al.).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from medical import report
from medical.data import VOLUME, adults
from medical.judged import predictions, values
from medical.pneumonia import distinct_images
from medical.runs import run_study, run_trial

SEEDS = (0, 1, 2)
SIDES = ("train", "val", "test")
SOURCE_EPOCHS = 30
NETWORK: dict[str, Any] = {
    "imageSize": 28, "backbone": "ResNet10", "width": 0.125, "stem": "Small",
    "normalization": "Image", "augmentation": True, "intensityChange": 0.3,
}  # fmt: skip
TARGETS: dict[int, dict[str, Any]] = {
    20: {"batchSize": 10, "epochs": 60},
    100: {"batchSize": 20, "epochs": 40},
    4698: {"batchSize": 64, "epochs": 4},
}
"""Children to train on -> how they are trained on."""
VALIDATING = 100
"""Children to choose by, where few are labelled; with all, the 524 of the validation side."""
RATES = {"learningRate": 0.01, "headLearningRate": 0.01}
ALONE = "children alone"
METHODS: dict[str, dict[str, Any]] = {
    "source as it is": {"method": "None"},
    ALONE: {"method": "Scratch", "learningRate": 0.01},
    "head alone": {"method": "Head", "headEpochs": 1, **RATES},
    "fine-tuning": {"method": "FineTuning", "headEpochs": 2, "delimitingLayer": 0.0, **RATES},
}
SEARCHED = (20, 100)
SEARCH = "search's choice"
TRIALS = 8
NAMES = (*METHODS, SEARCH)
HEADINGS = ["", *(f"{n} children" for n in TARGETS)]

SPACE: list[dict[str, Any]] = [
    {"name": "method", "categorical": {"choices": ["None", "Scratch", "Head", "FineTuning"]}},
    {"name": "learningRate", "float": {"min": 1e-3, "max": 0.1, "scale": "Log"},
     "when": {"parameter": "method", "in": ["Scratch", "Head", "FineTuning"]}},
    {"name": "headLearningRate", "float": {"min": 1e-3, "max": 0.1, "scale": "Log"},
     "when": {"parameter": "method", "in": ["Head", "FineTuning"]}},
    {"name": "headEpochs", "int": {"min": 1, "max": 20},
     "when": {"parameter": "method", "in": ["Head", "FineTuning"]}},
    {"name": "delimitingLayer", "float": {"min": 0.0, "max": 1.0},
     "when": {"parameter": "method", "in": ["FineTuning"]}},
]  # fmt: skip


def adult_archive() -> str:
    """In MedMNIST's layout, with the patient-disjoint split that comes with the images."""
    target = VOLUME / "adults.npz"
    if not target.exists():
        with np.load(adults()) as stored:
            images, labels, split = (stored[name] for name in ("images28", "labels", "split"))
        arrays: dict[str, Any] = {}
        for number, side in enumerate(SIDES):
            arrays |= {f"{side}_images": images[split == number], f"{side}_labels": labels[split == number]}
        np.savez(target, **arrays)
    return target.name


def child_archive(children: int, seed: int) -> str:
    """So many children, half of each class, and VALIDATING others to choose by, drawn by the seed; or all."""
    whole = distinct_images()
    if children not in SEARCHED:
        return whole.name
    target = VOLUME / f"children_{children}_{seed}.npz"
    if not target.exists():
        with np.load(whole) as stored:
            arrays = {name: stored[name] for name in stored.files}
        random = np.random.default_rng(seed)
        for side, count in (("train", children), ("val", VALIDATING)):
            labels = arrays[f"{side}_labels"].ravel()
            drawn = [random.permutation(np.flatnonzero(labels == k))[: count // 2] for k in (0, 1)]
            for kind in ("images", "labels"):
                arrays[f"{side}_{kind}"] = arrays[f"{side}_{kind}"][np.concatenate(drawn)]
        np.savez(target, **arrays)
    return target.name


def source(seed: int) -> tuple[str, float]:
    """The trained source in the data volume, and its AUC on the adults' test side."""
    config = NETWORK | {"dataset": adult_archive(), "method": "Scratch", "learningRate": 0.01, "batchSize": 32}
    run = run_trial("transferClassification", config, seed=seed, epochs=SOURCE_EPOCHS)
    target = VOLUME / "sources" / f"adults-{seed}.pt"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(run.folder / "checkpoint.pt", target)
    return str(target.relative_to(VOLUME)), values(predictions(run.folder)["test"])["auc"]


def target_config(children: int, seed: int, weights: str) -> dict[str, Any]:
    given = {key: value for key, value in TARGETS[children].items() if key != "epochs"}
    return NETWORK | given | {"dataset": child_archive(children, seed), "weights": weights}


def fixed(children: int, seed: int, weights: str, method: str) -> dict[str, Any]:
    config = target_config(children, seed, weights) | METHODS[method] | {"validationInterval": 1000}
    epochs = 1 if method == "source as it is" else TARGETS[children]["epochs"]
    run = run_trial("transferClassification", config, seed=seed, epochs=epochs)
    return row(children, seed, method, run.folder, run.cpu_seconds, METHODS[method])


def searched(children: int, seed: int, weights: str) -> dict[str, Any]:
    """Starts with the fixed methods; the best on the validation images is the choice."""
    epochs = TARGETS[children]["epochs"]
    names = {parameter["name"] for parameter in SPACE}
    points = [{k: str(v) for k, v in method.items() if k in names} for method in METHODS.values()]
    task = target_config(children, seed, weights) | {"epochs": epochs, "validationInterval": epochs}
    study = run_study(
        {
            "apiVersion": "hpo.study/v1alpha1",
            "kind": "HPOStudy",
            "metadata": {"name": f"adults-to-children-{children}-{seed}"},
            "spec": {
                "objective": {"metric": "auc", "direction": "Maximize"},
                "parameters": SPACE,
                "algorithm": {"sampler": {"type": "GP"}},
                "initialPoints": points,
                "budget": {"trials": TRIALS, "parallelism": 1},
                "seed": seed,
                "trainer": {
                    "transferClassification": task,
                    "data": {"claimName": "data"},
                    "checkpoints": {"claimName": "checkpoints"},
                    "resources": {"limits": {"cpu": "1"}},
                },
            },
        }
    )
    folder = study.checkpoint_folder(study.best["metadata"]["name"])
    return row(children, seed, SEARCH, folder, study.cpu_seconds, study.best["spec"]["parameters"])


def row(children: int, seed: int, method: str, folder: Path, cpu: float, chosen: dict[str, Any]) -> dict[str, Any]:
    sides = predictions(folder)
    judged = {name: values(side) for name, side in sides.items()}
    print(children, seed, method, {name: round(found["auc"], 3) for name, found in judged.items()}, flush=True)
    return {"children": children, "seed": seed, "method": method, "cpu": cpu, "chosen": dict(chosen), **judged}


def measure() -> tuple[list[dict[str, Any]], list[float]]:
    rows, of_adults = [], []
    for seed in SEEDS:
        weights, area = source(seed)
        of_adults.append(area)
        for children in TARGETS:
            rows += [fixed(children, seed, weights, method) for method in METHODS]
            if children in SEARCHED:
                rows.append(searched(children, seed, weights))
    return rows, of_adults


def of(rows: list[dict[str, Any]], children: int, method: str, metric: str = "auc") -> list[float]:
    """On the test side, seed by seed."""
    return [r["test"][metric] for r in rows if r["children"] == children and r["method"] == method]


def table(rows: list[dict[str, Any]], metric: str) -> str:
    lines = [[m, *(report.spread(found) if (found := of(rows, n, m, metric)) else "" for n in TARGETS)] for m in NAMES]
    return report.table(HEADINGS, lines)


def gains(rows: list[dict[str, Any]]) -> str:
    """AUC beyond that of the children alone, on the same seeds, and in how many of these it is beyond."""
    lines = []
    for method in NAMES:
        pairs = {n: list(zip(of(rows, n, method), of(rows, n, ALONE), strict=False)) for n in TARGETS}
        gained = {n: [with_source - alone for with_source, alone in pairs[n]] for n in TARGETS}
        shown = [f"{mean(d):+.3f} ({sum(x > 0 for x in d)} of {len(d)})" if d else "" for d in gained.values()]
        lines.append([method, *shown])
    return report.table(HEADINGS, [line for line in lines if line[0] != ALONE])


def choices(rows: list[dict[str, Any]]) -> str:
    lines = [
        [r["children"], r["seed"], r["chosen"]["method"], f"{r['validation']['auc']:.3f}",
         f"{r['test']['auc']:.3f}", f"{r['cpu'] / 60:.1f}"]
        for r in rows if r["method"] == SEARCH
    ]  # fmt: skip
    return report.table(["children", "seed", "method", "validation AUC", "test AUC", "core-minutes"], lines)


def picture(rows: list[dict[str, Any]]) -> None:
    """AUC of each method and seed over the number of children."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for place, method in enumerate(NAMES):
        points = [(i + (place - 2) * 0.13, area) for i, n in enumerate(TARGETS) for area in of(rows, n, method)]
        axis.plot(*zip(*points, strict=True), "o", label=method, alpha=0.8)
    axis.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    axis.set_xticks(range(len(TARGETS)), [f"{n} children" for n in TARGETS])
    axis.set_ylabel("AUC on the 624 test images")
    figure.legend(fontsize=8, loc="outside right upper")
    figure.savefig(report.RESULTS / "adults_to_children.png", dpi=150)


def main() -> None:
    rows, of_adults = measure()
    report.write(
        "adults_to_children",
        "From adults to children: chest X-rays",
        [
            __doc__ or "",
            f"A ResNet10 of an eighth of its channels, 28 × 28 pixels. {len(SEEDS)} seeds, each with another draw of "
            "the labelled children; mean ± standard deviation on the 624 children of the test side, read once. The "
            f"search has {TRIALS} trials, of which the first four are the methods above it; it chooses by AUC on "
            f"{VALIDATING} other children. On adults the source has a test AUC of {report.spread(of_adults)}.",
            "![AUC by method](adults_to_children.png)",
            "**AUC** (0.5: chance)",
            table(rows, "auc"),
            "**AUC beyond that of the children alone**, and in how many seeds it is beyond",
            gains(rows),
            "**Balanced accuracy** at probability 0.5",
            table(rows, "balanced_accuracy"),
            "**Matthews' correlation**",
            table(rows, "mcc"),
            "**What the search chose**",
            choices(rows),
            f"Processor time of the runs on children, searches included: {sum(r['cpu'] for r in rows) / 60:.0f} "
            "core-minutes.",
        ],
        {"rows": rows, "source_test_auc": of_adults},
    )
    picture(rows)


if __name__ == "__main__":
    main()
