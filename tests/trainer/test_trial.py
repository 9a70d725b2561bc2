"""Whole trials in this process: measurements, determinism, rungs and checkpoints."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo_trainer import checkpoint
from trainer.support import (
    SMALL_NETWORK,
    SMALL_U_NET,
    TrialRunner,
    decathlon_folder,
    image_folder,
    segmentation_archive,
)

EVERYTHING_RANDOM: dict[str, Any] = {"augmentation": True, "dropout": 0.2}
TASKS = {
    "classification": SMALL_NETWORK | EVERYTHING_RANDOM | {"dataset": "images", "optimizer": "Adam"},
    "sgd": SMALL_NETWORK | {"dataset": "images", "learningRateDecay": 0.1},
    "segmentation": SMALL_U_NET | EVERYTHING_RANDOM | {"dataset": "discs.npz"},
    "patches": SMALL_U_NET | {"dataset": "discs.npz", "patchSize": [8, 8], "optimizer": "SGD", "augmentation": "yes"},
    "volumes": SMALL_U_NET | {"dataset": "volumes", "dimensions": "3D", "residualUnits": 1, "batchSize": 2},
    "template": SMALL_U_NET | {"dataset": "discs.npz", "depth": 3, "augmentation": True, "weightDecay": 0.01},
    "template volumes": SMALL_U_NET | {"dataset": "volumes", "depth": 2, "dimensions": "3D", "batchSize": 2},
    "transfer": {"dataset": "discs.npz", "learningRate": 0.01, "augmentation": True},
    "frozen": {"dataset": "discs.npz", "method": "None"},
    "fine-tuning": {"dataset": "discs.npz", "method": "Partial", "optimizer": "AdamW", "weightDecay": 0.1},
}
TRANSFER: dict[str, Any] = {
    "dataset": "images",
    "imageSize": 16,
    "width": 0.125,
    "backbone": "ResNet10",
    "stem": "Small",
}
TASKS |= {
    "scratch": TRANSFER | {"method": "Scratch", "batchSize": 5, "augmentation": True, "normalization": "Image"},
    "two steps": TRANSFER | {
        "weights": "classifier.pt", "headEpochs": 2, "delimitingLayer": 0.5, "optimizer": "AdamW", "weightDecay": 0.1,
        "dropout": 0.2, "mirroring": True, "intensityChange": 0.3, "classWeights": "None",
    },
    "head": TRANSFER | {"weights": "classifier.pt", "method": "Head", "headEpochs": 2},
    "untouched": TRANSFER | {"weights": "classifier.pt", "method": "None"},
    "dense": TRANSFER | {"backbone": "DenseNet121", "method": "Scratch"},
    "efficient": {"dataset": "images", "imageSize": 32, "backbone": "EfficientNetB0", "method": "Scratch"},
}  # fmt: skip
TASK_OF = {
    "classification": ("classification", "sgd"),
    "segmentation": ("segmentation", "patches", "volumes"),
    "templateDeformation": ("template", "template volumes"),
    "transferClassification": ("scratch", "two steps", "head", "untouched", "dense", "efficient"),
    "transferSegmentation": ("transfer", "frozen", "fine-tuning"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    image_folder(root / "images")
    segmentation_archive(root / "discs.npz")
    decathlon_folder(root / "volumes")
    source = TrialRunner(root / "source", root, "segmentation", TASKS["segmentation"])
    source.run(1)
    classifier = TrialRunner(root / "classifier", root, "transferClassification", TASKS["scratch"])
    classifier.run(1)
    (root / "classifier.pt").write_bytes((classifier.checkpoints / "checkpoint.pt").read_bytes())
    (root / "checkpoint.pt").write_bytes((source.checkpoints / "checkpoint.pt").read_bytes())
    return root


def runner(tmp_path: Path, data: Path, name: str, **config: Any) -> TrialRunner:
    task = next(task for task, names in TASK_OF.items() if name in names)
    return TrialRunner(tmp_path, data, task, TASKS[name] | config)


def weights(trial: TrialRunner) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoint.decode(trial.checkpoints / "checkpoint.pt")["model"]
    return state


def test_classification_measures_what_it_says(tmp_path: Path, data: Path) -> None:
    outcome = runner(tmp_path, data, "sgd").run(20, {"momentum": 0.8})
    assert outcome.code == 0
    metrics = outcome.metrics
    named = {"accuracy", "balanced_accuracy", "errors", "mcc", "auc", "recall_class0", "recall_class1", "recall_class2"}
    assert set(metrics) == named | {"validation_loss", "loss", "epoch"}
    assert metrics["accuracy"] == 1 - metrics["errors"] / 9
    assert metrics["balanced_accuracy"] == pytest.approx(metrics["accuracy"])  # as many images of each class
    assert metrics["accuracy"] > 0.6  # three classes
    assert (metrics["epoch"], outcome.message["resource"]) == (20, 20)
    assert outcome.message["seconds"] > 0
    assert outcome.message["peakMemoryBytes"] > 2**26


def test_segmentation_measures_what_it_says(tmp_path: Path, data: Path) -> None:
    outcome = runner(tmp_path, data, "volumes").run(60)
    assert outcome.code == 0
    metrics = outcome.metrics
    assert set(metrics) == {"dice", "dice_rim", "dice_inner_core", "validation_loss", "loss", "epoch"}
    assert metrics["dice"] == pytest.approx((metrics["dice_rim"] + metrics["dice_inner_core"]) / 2)
    assert metrics["dice"] > 0.5


def test_template_deformation_measures_what_it_says(tmp_path: Path) -> None:
    segmentation_archive(tmp_path / "discs.npz", groups=8, per_group=6)
    changes = {"augmentation": False, "weightDecay": 0, "channels": 8, "learningRate": 0.003, "validationInterval": 30}
    trial = runner(tmp_path / "run", tmp_path, "template", **changes)
    started = trial.run(1).metrics
    metrics = trial.run(30).metrics
    expected = {"dice", "dice_1", "dice_2", "components", "smallest_jacobian", "validation_loss"}
    assert set(metrics) == expected | {"loss", "epoch"}
    assert metrics["dice"] > max(0.7, started["dice"] + 0.2)
    assert metrics["components"] == 1
    assert metrics["smallest_jacobian"] > 0


@pytest.mark.parametrize("name", TASKS)
def test_resumed_runs_equal_runs_that_were_never_stopped(tmp_path: Path, data: Path, name: str) -> None:
    whole, rungs = runner(tmp_path / "a", data, name), runner(tmp_path / "b", data, name)
    at_once = whole.run(4)
    assert [rungs.run(epochs).code for epochs in (1, 3)] == [0, 0]
    in_steps = rungs.run(4)
    assert in_steps.metrics == at_once.metrics
    assert all(torch.equal(a, b) for a, b in zip(weights(whole).values(), weights(rungs).values(), strict=True))


@pytest.mark.parametrize("name", ["classification", "patches"])
def test_the_seed_decides(tmp_path: Path, data: Path, name: str) -> None:
    runs = [runner(tmp_path / str(i), data, name).run(2, HPO_SEED=seed) for i, seed in enumerate(["3", "3", "4"])]
    assert runs[0].metrics == runs[1].metrics != runs[2].metrics


def test_a_reached_rung_reports_its_measurement_again(tmp_path: Path, data: Path) -> None:
    trial = runner(tmp_path, data, "sgd", validationInterval=5)
    at_2, at_4 = trial.run(2), trial.run(4)
    stored = (trial.checkpoints / "checkpoint.pt").stat().st_mtime_ns
    assert trial.run(4).metrics == at_4.metrics
    assert trial.run(2).metrics == at_2.metrics != at_4.metrics
    assert (trial.checkpoints / "checkpoint.pt").stat().st_mtime_ns == stored
    unmeasured = trial.run(3)
    assert unmeasured.code == 78
    assert "completed 4 epochs and was not validated at 3, only at 2, 4" in unmeasured.message["message"]


def test_a_torn_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, torn = runner(tmp_path / "a", data, "segmentation"), runner(tmp_path / "b", data, "segmentation")
    expected = whole.run(4)
    torn.run(3)
    current = torn.checkpoints / "checkpoint.pt"
    content = bytearray(current.read_bytes())
    content[len(content) // 2] ^= 1
    current.write_bytes(content)
    capfd.readouterr()
    assert torn.run(4).metrics == expected.metrics
    err = capfd.readouterr().err
    assert "checkpoint not used, removed" in err
    assert "checkpoint.pt: incomplete or damaged" in err
    assert "resumed after epoch 2" in err
    for name in ("checkpoint.pt", "checkpoint.prev.pt"):
        (torn.checkpoints / name).write_bytes(b"")
    assert torn.run(4).metrics == expected.metrics  # from the start


def test_a_foreign_checkpoint_is_set_aside(tmp_path: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fresh, trial = runner(tmp_path / "a", data, "sgd"), runner(tmp_path / "b", data, "sgd")
    trial.run(2, {"learningRate": 0.02})
    foreign = (trial.checkpoints / "checkpoint.pt").read_bytes()
    capfd.readouterr()
    assert trial.run(2).metrics == fresh.run(2).metrics
    assert "of another configuration: learningRate is 0.02 there and 0.01 here" in capfd.readouterr().err
    assert (trial.checkpoints / "checkpoint.foreign.pt").exists()
    (trial.checkpoints / "checkpoint.pt").write_bytes(foreign)
    trial.run(1)
    assert (trial.checkpoints / "checkpoint.foreign.pt").read_bytes() == foreign


def test_a_changed_data_set_makes_a_checkpoint_foreign(
    tmp_path: Path, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image_folder(tmp_path / "data" / "images")
    trial = runner(tmp_path / "run", tmp_path / "data", "sgd")
    trial.run(1)
    (tmp_path / "data" / "images" / "class0" / "000.png").unlink()
    assert trial.run(2).code == 0
    assert "the data set is not the one that it was trained on" in capfd.readouterr().err


def test_checkpoints_are_plain_torch_files(tmp_path: Path, data: Path) -> None:
    trial = runner(tmp_path, data, "sgd")
    trial.run(2)
    state = torch.load(trial.checkpoints / "checkpoint.pt", weights_only=True)
    assert (state["epoch"], state["seed"], sorted(state["history"])) == (2, 7, [1, 2])
    assert json.loads(state["identity"])["learningRate"] == 0.01
    assert not list(trial.checkpoints.glob("*.new"))


def test_an_attempt_whose_successor_has_begun_ends_and_replaces_nothing(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Pod was deleted by force, and its process lives on."""
    undisturbed, trial = runner(tmp_path / "a", data, "sgd"), runner(tmp_path / "b", data, "sgd")
    save = checkpoint.Checkpoints.save

    def overtaken(store: checkpoint.Checkpoints, learner: Any, progress: Any) -> None:
        if progress.epoch == 2:
            monkeypatch.setattr(checkpoint.Checkpoints, "save", save)
            (trial.checkpoints / "checkpoint.pt.0123.new").write_text("a draft of one that was killed")
            assert trial.run(3).metrics == undisturbed.run(3).metrics
        save(store, learner, progress)

    monkeypatch.setattr(checkpoint.Checkpoints, "save", overtaken)
    outcome = trial.run(3)
    assert (outcome.code, outcome.message["reason"]) == (75, "Interrupted")
    assert "epoch 2 is not kept: a later attempt of this trial has begun, " in outcome.message["message"]
    assert torch.load(trial.checkpoints / "checkpoint.pt", weights_only=True)["epoch"] == 3
    assert not list(trial.checkpoints.glob("*.new"))


def test_a_diverging_trial_says_so(tmp_path: Path, data: Path) -> None:
    outcome = runner(tmp_path, data, "sgd").run(5, {"learningRate": 100, "momentum": 0.99})
    assert (outcome.code, outcome.message["reason"]) == (81, "Diverged")
    assert " is nan in epoch " in outcome.message["message"]


@pytest.fixture
def limited_memory() -> Iterator[None]:
    """Where the kernel grants any amount, as on nodes with a kubelet, the machine would be brought down."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**37, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.usefixtures("limited_memory")
def test_memory_that_cannot_be_had_says_so(tmp_path: Path, data: Path) -> None:
    parameters = {"imageSize": 1024, "blocks": 1, "filters": 1024, "trainSamplesPerClass": 1}
    outcome = runner(tmp_path, data, "sgd", denseUnits=[65536]).run(1, parameters)
    assert (outcome.code, outcome.message["reason"]) == (80, "OutOfMemory")
    assert "allocate" in outcome.message["message"]
    assert outcome.message["peakMemoryBytes"] > 2**26


def test_a_bug_or_a_broken_machine_leaves_a_traceback(
    tmp_path: Path, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trial = runner(tmp_path, data, "sgd")
    trial.checkpoints.write_text("a file where a folder should be")
    outcome = trial.run(1)
    assert (outcome.code, outcome.message["reason"]) == (1, "Error")
    assert outcome.message["message"].startswith("FileExistsError: ")
    assert "Traceback (most recent call last)" in capfd.readouterr().err


def test_failures_of_the_user_have_their_own_codes(tmp_path: Path, data: Path) -> None:
    trial = runner(tmp_path, data, "sgd")
    assert trial.run(1, {"batchSize": 0}).code == 78
    assert trial.run(1, HPO_OBJECTIVE="acuracy").message["message"].endswith("did you mean accuracy?")
    assert trial.run(1, HPO_DATA_DIR=str(tmp_path)).code == 78
    (tmp_path / "images").mkdir()
    outcome = trial.run(1, HPO_DATA_DIR=str(tmp_path))
    assert (outcome.code, outcome.message["reason"]) == (65, "BadData")
