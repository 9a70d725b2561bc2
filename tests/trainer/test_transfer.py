"""Transfer of a trained U-Net: where each method starts, what it trains, and which sources it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hpo_trainer import checkpoint
from hpo_trainer.config import FIELDS, TransferSegmentationConfig
from hpo_trainer.networks import parameter_count, u_net
from hpo_trainer.networks.transfer import adapt
from hpo_trainer.networks.unet import blocks
from trainer.support import SMALL_NETWORK, SMALL_U_NET, TrialRunner, discs, image_folder, source_config

METHODS = next(field.choices for field in FIELDS["transferSegmentation"] if field.name == "method")
ADDED = ("FixedConvolutions", "Geometric", "Intensity", "GeometricIntensity")
SIZES = {"2D": (16, 12), "3D": (16, 12, 8)}
TARGET: dict[str, Any] = {"dataset": "target.npz", "batchSize": 6, "learningRate": 0.003, "layerChannels": 8}
SOURCE_EPOCHS, EPOCHS = 12, 15


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source of discs and its trained U-Net; the target's discs are of 0.6 times the size, and of other contrast."""
    root = tmp_path_factory.mktemp("data")
    images, masks = discs(64)
    groups = np.repeat(np.arange(4), 16)
    np.savez(root / "source.npz", images=images, masks=masks, groups=groups)
    rows, columns = (np.clip(np.rint((np.arange(n) - n / 2) / 0.6 + n / 2), 0, n - 1).astype(int) for n in (20, 24))
    smaller = np.exp(1.5 * images[:, rows][:, :, columns]), masks[:, rows][:, :, columns]
    np.savez(root / "target.npz", images=smaller[0], masks=smaller[1], groups=groups)
    trial = TrialRunner(root / "source", root, "segmentation", SOURCE)
    (root / "source.json").write_text(json.dumps(trial.run(SOURCE_EPOCHS).metrics))
    (root / "checkpoint.pt").write_bytes((trial.checkpoints / "checkpoint.pt").read_bytes())
    return root


SOURCE: dict[str, Any] = SMALL_U_NET | {"depth": 3, "dataset": "source.npz", "validationInterval": SOURCE_EPOCHS}


def adapted(method: str, dimensions: str = "2D", **changes: Any) -> tuple[nn.Module, nn.Module]:
    """A U-Net, and the same with the same weights, adapted."""
    config = source_config(dimensions)
    networks = []
    for _ in range(2):
        torch.manual_seed(4)
        networks.append(u_net(config, 1, 3))
    transfer = TransferSegmentationConfig(method=method, layer_channels=4, **changes)
    return networks[0], adapt(networks[1], config, transfer, 1, 3)


@pytest.mark.parametrize("dimensions", SIZES)
@pytest.mark.parametrize("residual_units", [0, 1])
def test_blocks_stand_in_the_order_in_which_they_work(dimensions: str, residual_units: int) -> None:
    network = u_net(source_config(dimensions, residual_units=residual_units), 1, 3)
    places = blocks(network)
    order: list[int] = []
    for i, place in enumerate(places):
        place.block.register_forward_hook(lambda *_, number=i: order.append(number))
    network(torch.zeros(1, 1, *SIZES[dimensions]))
    assert order == list(range(5))
    assert [(place.kind, place.level) for place in places] == [
        ("down", 0), ("down", 1), ("bottom", 2), ("up", 1), ("up", 0),
    ]  # fmt: skip
    assert sum(parameter_count(place.block) for place in places) == parameter_count(network)


@pytest.mark.parametrize("dimensions", SIZES)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_starts_as_the_source(method: str, dimensions: str) -> None:
    source, target = adapted(method, dimensions)
    images = torch.randn(2, 1, *SIZES[dimensions])
    torch.testing.assert_close(target(images), source(images), atol=1e-3, rtol=0)


@pytest.mark.parametrize("method", ADDED)
def test_added_layers_alone_are_trained(method: str) -> None:
    source, target = adapted(method)
    trained = {name for name, p in target.named_parameters() if p.requires_grad}
    assert sum(p.numel() for p in target.parameters() if not p.requires_grad) == parameter_count(source)
    assert parameter_count(target) - parameter_count(source) == sum(
        p.numel() for name, p in target.named_parameters() if name in trained
    )
    before = {name: p.detach().clone() for name, p in target.named_parameters()}
    step = torch.optim.Adam(target.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(2):  # the last layers start at 0 and let nothing through
        step.zero_grad()
        target(torch.randn(4, 1, 16, 12)).square().mean().backward()
        step.step()
    moved = {name for name, p in target.named_parameters() if not torch.equal(p, before[name])}
    assert moved == trained


@pytest.mark.parametrize(
    ("method", "changes", "expected"),
    [
        ("None", {}, []),
        ("Full", {}, [0, 1, 2, 3, 4]),
        ("Partial", {"trained_blocks": 2, "trained_end": "First"}, [0, 1]),
        ("Partial", {"trained_blocks": 3, "trained_end": "Last"}, [2, 3, 4]),
    ],
)
def test_blocks_of_the_source_that_are_trained(method: str, changes: dict[str, Any], expected: list[int]) -> None:
    _, target = adapted(method, **changes)
    trained = [{p.requires_grad for p in place.block.parameters()} for place in blocks(target)]
    assert trained == [{i in expected} for i in range(5)]


def test_fixed_convolutions_follow_each_change_of_resolution() -> None:
    """Channels 4, 8, 16, and 3 classes: two on the way down, two on the way up."""
    source, target = adapted("FixedConvolutions")
    added = sum(9 * c * c + c for c in (4, 8, 4, 3))
    assert parameter_count(target) - parameter_count(source) == added


@pytest.mark.parametrize("method", METHODS)
def test_methods_learn_and_both_populations_are_judged(tmp_path: Path, data: Path, method: str) -> None:
    config = TARGET | {"method": method, "validationInterval": EPOCHS, "trainedBlocks": 2}
    trial = TrialRunner(tmp_path / "run", data, "transferSegmentation", config)
    started = trial.run(1, HPO_OBJECTIVE="dice").metrics
    metrics = trial.run(EPOCHS).metrics
    assert {"dice", "dice_1", "source_dice", "source_dice_2", "trained_weights", "validation_loss"} <= set(metrics)
    source = json.loads((data / "source.json").read_text())
    if method == "None":
        assert metrics["trained_weights"] == 0
        assert metrics["dice"] == started["dice"]
        assert metrics["source_dice"] == source["dice"]  # judged on the same images, in the same way
        assert metrics["source_validation_loss"] == source["validation_loss"]
    else:
        assert metrics["trained_weights"] > 0
        assert metrics["loss"] < 0.9 * started["loss"]
        assert metrics["dice"] > started["dice"]


def refusal(tmp_path: Path, data: Path, **config: Any) -> tuple[int, str]:
    outcome = TrialRunner(tmp_path / "run", data, "transferSegmentation", TARGET | config).run(1)
    return outcome.code, outcome.message["message"]


def test_a_source_that_is_not_there(tmp_path: Path, data: Path) -> None:
    code, message = refusal(tmp_path, data, sourceCheckpoint="best/checkpoint.pt")
    assert code == 78
    assert message.startswith("HPO_CONFIG.sourceCheckpoint: expected the checkpoint.pt of a segmentation trial")
    assert message.endswith(f"found no file {data}/best/checkpoint.pt")
    code, message = refusal(tmp_path, data, sourceDataset="adults.npz")
    assert (code, message.split(":")[0]) == (78, "HPO_CONFIG.sourceDataset")


def test_a_source_that_is_no_segmentation(tmp_path: Path, data: Path) -> None:
    torn = data / "torn.pt"
    torn.write_bytes((data / "checkpoint.pt").read_bytes()[:-1])
    code, message = refusal(tmp_path, data, sourceCheckpoint="torn.pt")
    assert code == 65
    assert message.startswith(f"{torn}: expected the checkpoint.pt of a segmentation trial: {torn}: incomplete")
    image_folder(tmp_path / "images")
    trial = TrialRunner(tmp_path / "classification", tmp_path / "images", "classification", SMALL_NETWORK)
    trial.run(1)
    (data / "classification.pt").write_bytes((trial.checkpoints / "checkpoint.pt").read_bytes())
    code, message = refusal(tmp_path, data, sourceCheckpoint="classification.pt")
    assert (code, message.split(": ")[1]) == (
        65, "expected a checkpoint of the task segmentation, found one of classification",
    )  # fmt: skip


def test_sets_that_do_not_go_with_the_source(tmp_path: Path, data: Path) -> None:
    state = checkpoint.decode(data / "checkpoint.pt")
    (data / "moved.pt").write_bytes(checkpoint.encode(state | {"data": "another"}))
    code, message = refusal(tmp_path, data, sourceCheckpoint="moved.pt")
    assert code == 65
    assert message.startswith(f"{data}/source.npz: not what {data}/moved.pt was trained on")
    named = {"sourceCheckpoint": "moved.pt", "sourceDataset": "source.npz"}
    assert TrialRunner(tmp_path / "named", data, "transferSegmentation", TARGET | named).run(1).code == 0
    with np.load(data / "target.npz") as arrays:
        np.savez(data / "one_class.npz", **{k: arrays[k].clip(0, 1) if k == "masks" else arrays[k] for k in arrays})
    code, message = refusal(tmp_path, data, dataset="one_class.npz")
    assert (code, message) == (
        65, f"{data}/one_class.npz: expected the classes of the source, background, 1, 2, found background, 1",
    )  # fmt: skip


def test_more_blocks_than_there_are(tmp_path: Path, data: Path) -> None:
    code, message = refusal(tmp_path, data, method="Partial", trainedBlocks=6)
    assert (code, message) == (
        78, "HPO_CONFIG.trainedBlocks: expected at most 5, the blocks of the source network, found 6",
    )  # fmt: skip
