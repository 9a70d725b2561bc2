"""Trials of every task on data sets with a test side, and their final model, made in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpo_trainer.final import build, predict, retrain
from hpo_trainer.final.__main__ import ended
from hpo_trainer.final.judgement import TOLERANCE
from hpo_trainer.final.looks import Looks
from hpo_trainer.final.report import told
from hpo_trainer.final.request import Choice, Request, parse_request
from hpo_trainer.final.retrained import read_retrained
from hpo_trainer.stop import Stop
from trainer.support import SMALL_NETWORK, SMALL_U_NET, TrialRunner, decathlon_folder, image_folder

SMALL_BACKBONE: dict[str, Any] = {
    "backbone": "ResNet10", "width": 0.125, "stem": "Small", "method": "Scratch", "imageSize": 16, "batchSize": 4,
}  # fmt: skip
OBJECTIVES = {"classification": "accuracy", "transferClassification": "accuracy"}


def labelled_images(root: Path) -> Path:
    """36 images, of each class six that train, three that validate and three for the test; patients of three images."""
    image_folder(root)
    rows = ["class,file,patient,split"]
    for label in range(3):
        for i in range(12):
            side = "train" if i < 6 else "val" if i < 9 else "test"
            rows.append(f"class{label},{i:03}.png,p{label}-{i // 3},{side}")
    (root / "splits.csv").write_text("\n".join(rows) + "\n")
    return root


def volumes(root: Path, spacing: float = 0.0) -> Path:
    """Seven volumes: three train, two validate, two are for the test. ``spacing``: see ``decathlon_folder``."""
    decathlon_folder(root, cases=7, spacing=spacing)
    fold = {"train": ["case_0", "case_1", "case_2"], "val": ["case_3", "case_4"]}
    (root / "splits_final.json").write_text(json.dumps([fold]))
    return root


@dataclass
class Finished:
    """Trials of one task, the best first, and the commands on them."""

    folder: Path
    task: str
    data: Path
    runners: dict[str, TrialRunner]
    metrics: dict[str, Mapping[str, float]]
    mirrored: bool = False

    @property
    def out(self) -> Path:
        return self.folder / "final"

    @property
    def looks(self) -> Path:
        return self.folder / "test-looks.json"

    @property
    def retrained(self) -> Path:
        return self.folder / "retrained"

    def request(self, **changes: Any) -> Request:
        metric = OBJECTIVES.get(self.task, "dice")
        candidates = [
            {"trial": t, "checkpoint": str(r.checkpoints), "value": self.metrics[t][metric], "resource": 1} | changes
            for t, r in self.runners.items()
        ]
        study = {
            "name": "tiny",
            "digest": "d" * 16,
            "trainingSeconds": 3.0,
            "status": {"algorithm": "Sobol", "progress": "2/2"},
            "spec": {
                "objective": {"metric": metric, "direction": "Maximize"},
                "budget": {"trials": 2},
                "parameters": [
                    {"name": "learningRate", "float": {"min": 1e-4, "max": 0.1, "scale": "Log"}},
                    {"name": "optimizer", "categorical": {"choices": ["SGD", "Adam"]}},
                    {"name": "momentum", "float": {"min": 0, "max": 0.9}, "when": {"parameter": "optimizer", "in": ["SGD"]}},  # noqa: E501
                ],
            },
        }  # fmt: skip
        document = {"study": study, "candidates": candidates, "mirroredPrediction": self.mirrored}
        return parse_request(json.dumps(document))

    def predict(self, **changes: Any) -> int:
        """The exit code, as of all that follow."""
        request, out = self.request(**changes), self.folder / "predictions"
        return ended(lambda: predict.run(request, self.data, out, Stop()))

    def stored(self, trial: str) -> list[np.ndarray[Any, Any]]:
        """The parts of what the trial predicted on validation images."""
        with np.load(self.folder / "predictions" / f"{trial}.npz") as archive:
            return [archive[name] for name in archive.files]

    def retrain(self, folds: int) -> int:
        best = next(iter(self.runners))
        return ended(lambda: retrain.run(self.request(), best, self.data, self.retrained, folds, Stop()))

    def build(self, members: Mapping[str, int], looks: bool = True, retrained: bool = False) -> int:
        """What was chosen need not be what ``choice`` would choose."""
        choice = Choice(
            single=next(iter(self.runners)),
            members=dict(members),
            method="the mean of the 2 best",
            loss="log loss, on patients held out",
            considered={"the best trial alone": 0.5, "the mean of the 2 best": 0.25},
        )
        order = build.Order(
            self.request(),
            choice,
            self.data,
            self.folder / "work",
            self.out,
            Looks(self.looks) if looks else None,
            TOLERANCE,
            50,
            read_retrained(self.retrained) if retrained else None,
        )
        return ended(lambda: print(told(build.run(order, lambda: None))))

    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "figures.json").read_text())
        return found

    def card(self) -> str:
        return (self.out / "model_card.md").read_text()


def finished(folder: Path, task: str, config: Mapping[str, Any] | None = None, trials: int = 2) -> Finished:
    """Trained for one epoch each, with other seeds."""
    data, base = folder / "data", dict(SMALL_U_NET)
    if task in OBJECTIVES:
        labelled_images(data)
        base = (SMALL_NETWORK if task == "classification" else SMALL_BACKBONE) | {"splitFile": "splits.csv"}
    else:
        volumes(data, spacing=0.25 if "resampling" in (config or {}) else 0.0)
    if task == "transferSegmentation":
        source = TrialRunner(folder / "source", data, "segmentation", SMALL_U_NET)
        assert source.run(1).code == 0
        (source.checkpoints / "checkpoint.pt").rename(data / "checkpoint.pt")
        base = {"method": "GeometricIntensity", "layerChannels": 4, "batchSize": 4, "sourceDataset": "."}
    runners, metrics = {}, {}
    for i in range(trials):
        runner = TrialRunner(folder / f"tiny-{i}", data, task, base | dict(config or {}))
        outcome = runner.run(1, HPO_SEED=str(i))
        assert outcome.code == 0, outcome.message
        runners[f"tiny-{i}"], metrics[f"tiny-{i}"] = runner, outcome.metrics
    metric = OBJECTIVES.get(task, "dice")
    ranked = sorted(runners, key=lambda trial: -metrics[trial][metric])
    return Finished(folder, task, data, {trial: runners[trial] for trial in ranked}, metrics)
