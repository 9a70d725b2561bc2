"""Transfer of a classification network: what each step trains, which files it starts from, which it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpo_trainer import checkpoint
from hpo_trainer.config import TransferClassificationConfig
from hpo_trainer.config.transfer_classification import BACKBONES
from hpo_trainer.data.appearance import intensities_changed, mirrored, standardised_each
from hpo_trainer.networks.backbones import TransferNetwork, layers
from hpo_trainer.seeding import generator
from trainer.support import SMALL_NETWORK, TrialRunner, image_folder

SMALL: dict[str, Any] = {"dataset": "images", "imageSize": 16, "width": 0.125, "backbone": "ResNet10", "stem": "Small"}
TARGET: dict[str, Any] = SMALL | {"weights": "source.pt", "headEpochs": 1, "learningRate": 0.02, "batchSize": 6}
SOURCE_EPOCHS = 16
ONE_PER_FAMILY = ("ResNet18", "ResNet50", "DenseNet121", "EfficientNetB0")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes, and a network that was trained on them."""
    root = tmp_path_factory.mktemp("data")
    image_folder(root / "images")
    config = SMALL | {"method": "Scratch", "batchSize": 6, "learningRate": 0.01}
    trial = TrialRunner(root / "run", root, "transferClassification", config)
    (root / "source.json").write_text(repr(trial.run(SOURCE_EPOCHS).metrics))
    (root / "source.pt").write_bytes((trial.checkpoints / "checkpoint.pt").read_bytes())
    return root


def network(backbone: str = "ResNet10", **changes: Any) -> TransferNetwork:
    torch.manual_seed(3)
    return TransferNetwork(TransferClassificationConfig(backbone=backbone, **changes), classes=3)


def trial(folder: Path, data: Path, **config: Any) -> TrialRunner:
    return TrialRunner(folder, data, "transferClassification", TARGET | config)


def weights_of(runner: TrialRunner) -> dict[str, Tensor]:
    state: dict[str, Tensor] = checkpoint.decode(runner.checkpoints / "checkpoint.pt")["model"]
    return state


# --------------------------------------------------------------------------------------------------------- backbones


@pytest.mark.parametrize("backbone", BACKBONES)
def test_layers_hold_all_weights_of_a_backbone_once(backbone: str) -> None:
    with torch.device("meta"):
        model = TransferNetwork(TransferClassificationConfig(backbone=backbone, image_size=64), classes=3)
    held = [id(p) for layer in layers(model.backbone) for p in layer.parameters()]
    assert sorted(held) == sorted(id(p) for p in model.backbone.parameters())


@pytest.mark.parametrize("backbone", ONE_PER_FAMILY)
def test_layers_stand_in_the_order_in_which_they_work(backbone: str) -> None:
    model = network(backbone, image_size=32).eval()
    order: list[int] = []
    for i, layer in enumerate(layers(model.backbone)):
        leaf = next(m for m in layer.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)))
        leaf.register_forward_hook(lambda *_, number=i: order.append(number))
    model(torch.zeros(1, 1, 32, 32))
    assert order == list(range(len(order)))
    assert len(order) == {"ResNet18": 9, "ResNet50": 17, "DenseNet121": 62, "EfficientNetB0": 18}[backbone]


@pytest.mark.parametrize(
    ("backbone", "weights"),
    # torchvision's, without its linear layer and two of three channels of the first convolution
    [("ResNet18", 11_689_512 - 513_000), ("ResNet50", 25_557_032 - 2_049_000), ("DenseNet121", 7_978_856 - 1_025_000)],
)
def test_backbones_have_the_published_number_of_weights(backbone: str, weights: int) -> None:
    first = 2 * 64 * 49
    assert sum(p.numel() for p in network(backbone).backbone.parameters()) == weights - first


@pytest.mark.parametrize("backbone", ["ResNet18", "DenseNet121"])
def test_a_small_stem_keeps_the_resolution(backbone: str) -> None:
    sizes = {}
    for stem in ("Standard", "Small"):
        model = network(backbone, stem=stem, width=0.125, image_size=32).eval()
        layers(model.backbone)[2].register_forward_hook(
            lambda _, inputs, __, s=stem: sizes.update({s: inputs[0].shape})
        )
        assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 3)
    assert (sizes["Standard"][-1], sizes["Small"][-1]) == (8, 32)


@pytest.mark.parametrize("backbone", ONE_PER_FAMILY)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_frozen_layers_keep_weights_and_statistics(backbone: str, share: float) -> None:
    model = network(backbone, image_size=32, dropout=0.1)
    images = torch.randn(6, 1, 32, 32)
    for module in model.modules():  # without statistics of its own an EfficientNet's features vanish
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.9
    model.train()(images)
    model.freeze(share)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2] * 2)).backward()
    step.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    stack = layers(model.backbone)
    frozen = stack[: round(share * len(stack))]
    names = {id(value): name for name, value in model.state_dict(keep_vars=True).items()}
    still = {names[id(value)] for layer in frozen for value in layer.state_dict(keep_vars=True).values()}
    assert moved.isdisjoint(still)
    assert {"head.1.weight", "head.1.bias"} <= moved
    assert len(moved) > 0.8 * (len(names) - len(still))  # a channel may happen to be dead


# ----------------------------------------------------------------------------------------------------- two steps


def test_the_head_alone_is_trained_first_then_all_from_the_delimiting_layer_on(tmp_path: Path, data: Path) -> None:
    source = checkpoint.decode(data / "source.pt")["model"]
    runner = trial(tmp_path, data, headEpochs=2, delimitingLayer=0.4)  # stem and one of four blocks
    moved = []
    for epochs in (1, 2, 3):
        runner.run(epochs)
        now = weights_of(runner)
        moved.append({name.split(".")[1] for name in now if not torch.equal(now[name], source[name])})
    assert moved == [{"1"}, {"1"}, {"1", "layer2", "layer3", "layer4"}]


def test_each_step_has_its_learning_rate(tmp_path: Path, data: Path) -> None:
    """A step of SGD without momentum is proportional to its learning rate."""
    lengths = {}
    for rate in (0.001, 0.002):
        runner = trial(tmp_path / str(rate), data, headLearningRate=rate, momentum=0, batchSize=27)
        runner.run(1)
        started = weights_of(trial_of_no_steps(tmp_path / f"{rate}-start", data))
        lengths[rate] = float((weights_of(runner)["head.1.weight"] - started["head.1.weight"]).norm())
    assert lengths[0.002] == pytest.approx(2 * lengths[0.001], rel=1e-3)


def trial_of_no_steps(folder: Path, data: Path) -> TrialRunner:
    runner = trial(folder, data, headLearningRate=1e-9, momentum=0, batchSize=27)
    runner.run(1)
    return runner


def test_a_source_as_it_is_judges_as_it_did(tmp_path: Path, data: Path) -> None:
    metrics = trial(tmp_path, data, method="None").run(2).metrics
    source = eval((data / "source.json").read_text())  # noqa: S307 - written above
    judged = {name: value for name, value in metrics.items() if name not in ("loss", "epoch")}
    assert judged == {name: source[name] for name in judged}


def test_a_source_saves_epochs(tmp_path: Path, data: Path) -> None:
    loss = {}
    for method in ("Scratch", "FineTuning"):
        loss[method] = trial(tmp_path / method, data, method=method).run(2).metrics["validation_loss"]
    assert loss["FineTuning"] < 0.8 * loss["Scratch"]


def test_an_image_that_is_left_alone_joins_the_batch_before(tmp_path: Path, data: Path) -> None:
    """27 images in batches of 13: 13 and 14."""
    assert trial(tmp_path, data, batchSize=13, method="Scratch").run(2).code == 0


# ------------------------------------------------------------------------------------------------- published weights


def published_like(model: TransferNetwork) -> dict[str, Tensor]:
    """The backbone's weights with three channels in its first convolution, a third of the weight in each."""
    state = dict(model.backbone.state_dict())
    first = next(name for name, value in state.items() if value.ndim == 4)
    return state | {first: state[first].expand(-1, 3, -1, -1) / 3}


def torchvision_resnet(model: TransferNetwork) -> dict[str, Tensor]:
    return published_like(model) | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def torchvision_densenet(model: TransferNetwork) -> dict[str, Tensor]:
    state = {name.replace(".layers.", "."): value for name, value in published_like(model).items()}
    return state | {"classifier.weight": torch.zeros(1000, 8), "classifier.bias": torch.zeros(1000)}


def densenet_of_2017(model: TransferNetwork) -> dict[str, Tensor]:
    """``denselayer1.norm.1`` for ``denselayer1.norm1``, and no counters of batches."""
    state = torchvision_densenet(model)
    for kind in ("norm", "conv"):
        for number in "12":
            state = {name.replace(f".{kind}{number}.", f".{kind}.{number}."): value for name, value in state.items()}
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


def radimagenet_resnet(model: TransferNetwork) -> dict[str, Tensor]:
    places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    return {f"backbone.{places[(p := name.split('.', 1))[0]]}.{p[1]}": v for name, v in published_like(model).items()}


def radimagenet_densenet(model: TransferNetwork) -> dict[str, Tensor]:
    state = torchvision_densenet(model)
    return {
        name.replace("features.", "backbone.0."): value for name, value in state.items() if "classifier" not in name
    }


def parallel_resnet(model: TransferNetwork) -> dict[str, Any]:
    return {"state_dict": {f"module.{name}": value for name, value in torchvision_resnet(model).items()}, "epoch": 90}


def efficientnet_pytorch(model: TransferNetwork) -> dict[str, Tensor]:
    """``_blocks.7`` for ``_blocks.4.7``."""
    parts = ((name.split("."), value) for name, value in published_like(model).items())
    state = {".".join([p[0], *p[2:]] if p[0] == "_blocks" else p): value for p, value in parts}
    return state | {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}


PUBLISHERS = [
    ("ResNet10", torchvision_resnet),
    ("ResNet10", parallel_resnet),
    ("ResNet10", radimagenet_resnet),
    ("DenseNet121", torchvision_densenet),
    ("DenseNet121", densenet_of_2017),
    ("DenseNet121", radimagenet_densenet),
    ("EfficientNetB0", efficientnet_pytorch),
]


@pytest.mark.parametrize(("backbone", "publish"), PUBLISHERS)
def test_published_weights_are_taken(tmp_path: Path, data: Path, backbone: str, publish: Any) -> None:
    config = {"backbone": backbone, "width": 1 if backbone == "EfficientNetB0" else 0.125, "stem": "Standard"}
    source = network(**config)
    for layer in source.modules():  # of an untrained network all are alike
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
    torch.save(publish(source), data / f"{backbone}-published.pt")
    weights = {"weights": "{backbone}-published.pt", "imageSize": 32, "method": "Head"}
    runner = trial(tmp_path, data, **config, **weights)
    assert runner.run(1).code == 0
    taken = {name: value for name, value in weights_of(runner).items() if name.startswith("backbone.")}
    expected = source.state_dict()
    for name, value in taken.items():
        torch.testing.assert_close(value, expected[name], atol=1e-6, rtol=1e-5)


def refusal(tmp_path: Path, data: Path, **config: Any) -> tuple[int, str]:
    outcome = trial(tmp_path / "run", data, **config).run(1)
    return outcome.code, outcome.message["message"]


def test_weights_of_another_network(tmp_path: Path, data: Path) -> None:
    torch.save(torchvision_resnet(network(width=0.25, stem="Small")), data / "wide.pt")
    code, message = refusal(tmp_path, data, weights="wide.pt")
    assert (code, message) == (
        65, f"{data}/wide.pt: conv1.weight has shape (16, 1, 3, 3), expected (8, 1, 3, 3); "
        "are they of another backbone, width or stem?",
    )  # fmt: skip
    code, message = refusal(tmp_path, data, weights="wide.pt", backbone="ResNet18")
    assert code == 65
    assert message.startswith(
        f"{data}/wide.pt: no weights for layer1.1.conv1.weight, layer1.1.bn1.weight, layer1.1.bn1"
    )
    assert message.endswith("; are they of another backbone?")


def test_a_network_of_another_make(tmp_path: Path, data: Path) -> None:
    """MONAI's own ResNets have biases in their shortcuts; without them the network would be another one."""
    state: dict[str, Any] = torchvision_resnet(network(width=0.125, stem="Small"))
    torch.save(state | {"layer2.0.downsample.0.bias": torch.zeros(16)}, data / "biased.pt")
    code, message = refusal(tmp_path, data, weights="biased.pt")
    assert (code, message) == (
        65, f"{data}/biased.pt: no place for layer2.0.downsample.0.bias; "
        "are they of another backbone, or another make of it?",
    )  # fmt: skip
    torch.save(state | {"projector.0.weight": torch.zeros(3, 3)}, data / "projected.pt")
    assert trial(tmp_path / "beside", data, weights="projected.pt").run(1).code == 0


def test_files_that_hold_no_weights(tmp_path: Path, data: Path) -> None:
    code, message = refusal(tmp_path, data, weights="nowhere.pt")
    assert (code, message.split(":")[0]) == (78, "HPO_CONFIG.weights")
    assert f"found no file {data}/nowhere.pt" in message
    (data / "text.pt").write_text("weights")
    torch.save(network(), data / "whole.pt")  # a pickled network, which could run code
    torch.save(torch.zeros(3), data / "tensor.pt")
    for name, start in [("text", "cannot be read"), ("whole", "cannot be read"), ("tensor", "expected a state_dict")]:
        code, message = refusal(tmp_path, data, weights=f"{name}.pt")
        assert (code, message.startswith(f"{data}/{name}.pt: {start}")) == (65, True)


def test_trials_that_cannot_be_the_source(tmp_path: Path, data: Path) -> None:
    code, message = refusal(tmp_path, data, width=0.25)
    assert (code, message) == (
        78, f"HPO_CONFIG.width: expected 0.125, which {data}/source.pt was trained with, found 0.25",
    )  # fmt: skip
    other = TrialRunner(tmp_path / "classification", data, "classification", SMALL_NETWORK | {"dataset": "images"})
    other.run(1)
    (data / "classification.pt").write_bytes((other.checkpoints / "checkpoint.pt").read_bytes())
    code, message = refusal(tmp_path, data, weights="classification.pt")
    assert (code, message.split(": ")[1]) == (
        65, "expected a checkpoint of the task transferClassification, found one of classification",
    )  # fmt: skip
    (data / "torn.pt").write_bytes((data / "source.pt").read_bytes()[:-1])
    code, message = refusal(tmp_path, data, weights="torn.pt")
    assert code == 65
    assert message.startswith(f"{data}/torn.pt: expected the checkpoint.pt of a transferClassification trial")


def test_a_source_as_it_is_needs_a_head_for_the_classes(tmp_path: Path, data: Path) -> None:
    image_folder(data / "two", classes=2)
    code, message = refusal(tmp_path, data, method="None", dataset="two")
    assert (code, message) == (
        65, f"{data}/source.pt: tells 3 classes apart, the data set has 2; take another method than None",
    )  # fmt: skip
    assert trial(tmp_path / "head", data, method="Head", dataset="two").run(1).code == 0
    torch.save(torchvision_resnet(network(width=0.125, stem="Small")), data / "headless.pt")
    code, message = refusal(tmp_path, data, method="None", weights="headless.pt")
    assert (code, message.split(":")[0]) == (78, "HPO_CONFIG.method")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"batchSize": 1}, "batchSize"),
        ({"backbone": "DenseNet121", "stem": "Standard", "imageSize": 31}, "imageSize"),
        ({"backbone": "EfficientNetB0", "stem": "Standard", "imageSize": 31}, "imageSize"),
        ({"backbone": "EfficientNetB0", "stem": "Standard", "imageSize": 32}, "width"),
        ({"backbone": "EfficientNetB0", "width": 1}, "stem"),
    ],
)
def test_networks_that_cannot_be_built(tmp_path: Path, data: Path, changes: dict[str, Any], field: str) -> None:
    code, message = refusal(tmp_path, data, **changes)
    assert (code, message.split(":")[0]) == (78, f"HPO_CONFIG.{field}")


# --------------------------------------------------------------------------------------------------------- appearance


@pytest.fixture
def images() -> Iterator[Tensor]:
    yield torch.rand(400, 1, 5, 6, generator=generator(1, "test")) * 3 + 1


def test_each_image_is_standardised_by_itself(images: Tensor) -> None:
    changed = standardised_each(torch.cat([images, torch.ones(1, 1, 5, 6)]))
    assert changed[:-1].mean((1, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(changed[:-1].std((1, 2, 3), correction=0), torch.ones(400))
    assert not changed[-1].any()
    torch.testing.assert_close(standardised_each(images * 7 - 2), changed[:-1], atol=1e-4, rtol=1e-4)


def test_half_of_the_images_are_mirrored(images: Tensor) -> None:
    changed = mirrored(images, generator(1, "mirror"))
    flipped = (changed == images.flip(3)).all(3).all(2).all(1)
    kept = (changed == images).all(3).all(2).all(1)
    assert (flipped ^ kept).all()
    assert 150 < flipped.sum() < 250


def test_contrast_and_brightness_stay_within_their_bounds(images: Tensor) -> None:
    changed = intensities_changed(images, 0.5, generator(1, "change"))
    contrast = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    brightness = changed.mean((1, 2, 3)) - contrast * images.mean((1, 2, 3))
    for drawn in (contrast.log(), brightness):
        assert 0.45 < drawn.abs().max() <= 0.5 + 1e-4
        assert drawn.std() == pytest.approx(0.5 / 3**0.5, rel=0.1)  # of a uniform distribution
