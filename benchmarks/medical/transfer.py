"""Adapting a network to another population: Table 3.1 of Bertrand's thesis (2019), on ``populations``.

The methods' learning rates are chosen on fold 0; the figures are of other folds, each with first weights of its own.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from hpo_trainer import checkpoint
from medical import populations
from medical.data import VOLUME
from medical.populations import JOINT, SOURCE, TARGET
from medical.report import spread, table, write
from medical.runs import Run, run_trial

FOLDS = (1, 2, 3, 4, 5)
SCRATCH, ADAPTED = 12, 24
"""Epochs on the source, and of a method on the target. From scratch the target gets as many steps as the source."""
RATES = (0.001, 0.01)
NETWORK: dict[str, Any] = {
    "dimensions": "3D", "depth": 3, "channels": 8, "loss": "Dice", "batchSize": 4, "learningRate": 0.003,
}  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {
    "fine-tuning": {"method": "Full"},
    "first three blocks": {"method": "Partial", "trainedBlocks": 3, "trainedEnd": "First"},
    "last two blocks": {"method": "Partial", "trainedBlocks": 2, "trainedEnd": "Last"},
    "fixed convolutions": {"method": "FixedConvolutions"},
    "geometric": {"method": "Geometric"},
    "intensity": {"method": "Intensity"},
    "geometric + intensity": {"method": "GeometricIntensity"},
}
THESIS = {
    "source only": "0.80 / 0.61", "target only": "0.57 / 0.66", "joint": "0.81 / 0.74", "fine-tuning": "0.72 / 0.72",
    "fixed convolutions": "0.71 / 0.72", "geometric": "0.73 / 0.67", "intensity": "0.80 / 0.65",
    "geometric + intensity": "0.74 / 0.73",
}  # fmt: skip
"""Dice on adults / children."""


@dataclass(frozen=True)
class Row:
    """One method on one fold; ``seconds`` of its fastest epoch of training, ``weights``: how many are trained."""

    source: float
    target: float
    weights: int
    seconds: float


Table = dict[str, list[Row]]


def scratch(dataset: str, fold: int, epochs: int) -> Run:
    config = NETWORK | {"dataset": dataset, "fold": fold, "validationInterval": epochs}
    return run_trial("segmentation", config, seed=fold, epochs=epochs)


def into_volume(run: Run) -> str:
    """The run's checkpoint as a ``sourceCheckpoint``."""
    target = VOLUME / "checkpoints" / f"{run.folder.name}.pt"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(run.folder / checkpoint.CURRENT, target)
    return str(target.relative_to(VOLUME))


def taken_as_it_is(run: Run, fold: int) -> Row:
    """A network from scratch, judged on both populations."""
    unchanged = {"method": "None", "sourceDataset": SOURCE, "sourceCheckpoint": into_volume(run)}
    judged = run_trial("transferSegmentation", unchanged | {"dataset": TARGET, "fold": fold}, seed=fold, epochs=1)
    return Row(judged.metrics["source_dice"], judged.metrics["dice"], _weights(run.folder), _seconds(run.folder))


def adapted(method: Mapping[str, Any], source: Run, fold: int, rate: float) -> Row:
    config = dict(method) | {
        "dataset": TARGET, "fold": fold, "sourceCheckpoint": into_volume(source), "loss": "Dice", "batchSize": 4,
        "learningRate": rate, "validationInterval": ADAPTED,
    }  # fmt: skip
    run = run_trial("transferSegmentation", config, seed=fold, epochs=ADAPTED)
    found = run.metrics
    return Row(found["source_dice"], found["dice"], int(found["trained_weights"]), _seconds(run.folder))


def _weights(folder: Path) -> int:
    found = re.search(r"(\d+) weights", (folder / "log").read_text())
    assert found is not None
    return int(found[1])


def _seconds(folder: Path) -> float:
    return min(map(float, re.findall(r"\((\d+\.\d+) s, ", (folder / "log").read_text())))


def chosen_rates() -> dict[str, float]:
    """The learning rate of each method with the better Dice coefficient on the target of fold 0."""
    source = scratch(SOURCE, 0, SCRATCH)
    return {
        name: max(RATES, key=lambda rate: adapted(method, source, 0, rate).target) for name, method in METHODS.items()
    }


def measured(fold: int, rates: Mapping[str, float]) -> dict[str, Row]:
    source = scratch(SOURCE, fold, SCRATCH)
    steps = SCRATCH * populations.SOURCE_TRAINING // populations.TARGET_TRAINING
    networks = {"source only": source, "target only": scratch(TARGET, fold, steps)}
    networks["joint"] = scratch(JOINT, fold, SCRATCH)
    rows = {name: taken_as_it_is(run, fold) for name, run in networks.items()}
    return rows | {name: adapted(method, source, fold, rates[name]) for name, method in METHODS.items()}


def claims(found: Table) -> list[list[str]]:
    """What the thesis concludes from its table, what the means here say, and in how many folds it is so."""

    def source(*names: str) -> list[float]:
        return [max(row.source for row in fold) for fold in zip(*(found[name] for name in names), strict=True)]

    def target(*names: str) -> list[float]:
        return [max(row.target for row in fold) for fold in zip(*(found[name] for name in names), strict=True)]

    both = "geometric + intensity"
    compared = [
        ("few cases of the target beat the source's network there", target("target only"), target("source only")),
        ("joint training beats every method on the target", target("joint"), target(*METHODS)),
        ("fine-tuning beats the target alone", target("fine-tuning"), target("target only")),
        ("fine-tuning loses on the source", source("source only"), source("fine-tuning")),
        ("the last blocks alone do as well on the target", target("last two blocks"), target("fine-tuning")),
        ("so do the first ones", target("first three blocks"), target("fine-tuning")),
        (f"{both} beats fine-tuning on the target", target(both), target("fine-tuning")),
        (f"{both} beats fine-tuning on the source", source(both), source("fine-tuning")),
        (f"{both} beats either alone on the target", target(both), target("geometric", "intensity")),
        ("intensity alone keeps the source better than fine-tuning", source("intensity"), source("fine-tuning")),
    ]
    return [
        [claim, f"{mean(a):.3f}", f"{mean(b):.3f}", f"{sum(x > y for x, y in zip(a, b, strict=True))} of {len(a)}"]
        for claim, a, b in compared
    ]


def rows(found: Table, rates: Mapping[str, float]) -> list[list[str]]:
    return [
        [
            name,
            f"{rates.get(name, NETWORK['learningRate']):g}",
            f"{runs[0].weights:,}",
            f"{min(row.seconds for row in runs):.2f}",
            spread([row.source for row in runs]),
            spread([row.target for row in runs]),
            THESIS.get(name, "–"),
        ]
        for name, runs in found.items()
    ]


def run() -> None:
    populations.make()
    rates = chosen_rates()
    folds = [measured(fold, rates) for fold in FOLDS]
    found = {name: [fold[name] for fold in folds] for name in folds[0]}
    text = (
        "Source and target are hippocampi of different scanners, the target's shrunk to 0.75 and changed in contrast "
        "(`medical.populations`): 80 and 20 training volumes, 14 of each validate. Means and standard deviations over "
        f"{len(FOLDS)} folds, each with its own first weights. A learning rate of {RATES[0]} or {RATES[1]} was chosen "
        "for each method on another fold, by the Dice coefficient of the target. Seconds: the fastest epoch of "
        "training, on a shared machine. The thesis' figures are of kidneys of adults and children in ultrasound."
    )
    headings = ["", "learning rate", "trained weights", "s per epoch", "Dice, source", "Dice, target", "thesis"]
    said = ["what the thesis concludes", "should be greater", "than", "in folds"]
    parts = [text, table(headings, rows(found, rates)), table(said, claims(found))]
    raw = {"rates": rates, "rows": {name: [asdict(row) for row in runs] for name, runs in found.items()}}
    write("transfer", "Transfer to another population", parts, raw)


if __name__ == "__main__":
    run()
