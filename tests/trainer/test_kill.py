"""SIGKILL at random instants: every task ends with the weights of a run that was left alone, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from medical.kills import Trial, differences, kill_often

from hpo_trainer.config import FIELDS
from trainer.support import SMALL_NETWORK, SMALL_U_NET, TrialRunner, image_folder, segmentation_archive

U_NET: dict[str, Any] = SMALL_U_NET | {"dataset": "discs.npz", "batchSize": 2, "augmentation": True}
RESNET: dict[str, Any] = {
    "dataset": "images", "imageSize": 16, "width": 0.125, "backbone": "ResNet10", "stem": "Small", "batchSize": 6,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "classification": SMALL_NETWORK | {"dataset": "images", "augmentation": True, "dropout": 0.1, "batchSize": 2},
    "transferClassification": RESNET | {"weights": "resnet.pt", "headEpochs": 2, "dropout": 0.1, "mirroring": True},
    "segmentation": U_NET | {"dropout": 0.1, "optimizer": "AdamW", "weightDecay": 0.01},
    "templateDeformation": U_NET | {"optimizer": "SGD"},
    "transferSegmentation": {"dataset": "discs.npz", "batchSize": 2, "augmentation": True, "layerChannels": 4},
}


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data volume for all tasks."""
    root = tmp_path_factory.mktemp("volume")
    image_folder(root / "images", count=40)
    segmentation_archive(root / "discs.npz", groups=8, per_group=8)
    for task, config, name in (
        ("segmentation", U_NET, "checkpoint.pt"),
        ("transferClassification", RESNET | {"method": "Scratch"}, "resnet.pt"),
    ):
        source = TrialRunner(root / task, root, task, config)
        assert source.run(1).code == 0
        (source.checkpoints / "checkpoint.pt").rename(root / name)
    return root


def test_no_task_is_left_out() -> None:
    assert set(CONFIGS) == set(FIELDS)


@pytest.mark.parametrize("task", CONFIGS)
def test_killed_at_random_instants(task: str, volume: Path, tmp_path: Path) -> None:
    trials = [Trial(task, CONFIGS[task], volume, tmp_path / name) for name in ("killed", "undisturbed")]
    for trial in trials:
        trial.folder.mkdir()
    killed = kill_often(trials[0], trials[1], kills=3)
    assert len(killed.instants) == 3
    assert killed.epochs >= 2
    assert killed.differing == ()


def test_what_counts_as_a_difference() -> None:
    one = {"model": {"weight": torch.ones(2), "bias": torch.zeros(1)}, "optimizer": [torch.ones(1)], "epoch": 3}
    assert list(differences(one, one)) == []
    changed = {
        "model": {"weight": torch.tensor([1.0, np.nextafter(np.float32(1), np.float32(2))]), "bias": -torch.zeros(1)},
        "optimizer": [torch.ones(1, dtype=torch.float64)],
        "epoch": 4,
    }
    assert list(differences(one, changed)) == ["/model/weight", "/model/bias", "/optimizer/0", "/epoch"]
    assert list(differences({"a": 1}, {"b": 1}, "/x")) == ["/x"]
    assert list(differences([1], [1, 2], "/y")) == ["/y"]
