"""How a U-Net is trained: losses, augmentation, learning rates, weight averages, precision; each by other means."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from hpo_trainer import checkpoint
from hpo_trainer.config import SegmentationConfig
from hpo_trainer.data.augmentation import CONTROL_SPACING, Extents, augment_pairs, random_displacements
from hpo_trainer.data.smoothing import gaussian_blur
from hpo_trainer.networks import u_net
from hpo_trainer.networks.averaging import AveragedNetwork, judged_weights
from hpo_trainer.networks.schedule import FLOOR, POWER, Schedule
from hpo_trainer.networks.unet import blocks
from hpo_trainer.seeding import generator
from hpo_trainer.tasks.losses import TopKLoss, criterion
from trainer.support import SMALL_U_NET, TrialRunner, segmentation_archive

STILL = Extents(rotation=0, shear=0, scaling=0, translation=0, mirror_axes=())


# ------------------------------------------------------------------------------------------------------------ losses


def test_top_k_is_the_mean_of_the_hardest_tenth() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 7, 9, generator=random)
    labels = torch.randint(0, 3, (2, 1, 7, 9), generator=random)
    chances = logits.softmax(1).gather(1, labels)[:, 0].flatten()
    hardest = np.sort(-np.log(chances.numpy()))[-13:]  # of 126 voxels
    assert float(TopKLoss()(logits, labels)) == pytest.approx(hardest.mean(), rel=1e-5)


@pytest.mark.parametrize("shape", [(9, 8), (6, 5, 7)])
def test_the_hausdorff_term_weighs_errors_by_squared_distances(shape: tuple[int, ...]) -> None:
    """Karimi and Salcudean (2019), equation 8, with distances from brute force; one image at a time, then the mean."""
    random = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, *shape, generator=random) * 3
    labels = torch.randint(0, 3, (2, 1, *shape), generator=random)
    probabilities = logits.softmax(1).numpy()
    terms = []
    for image in range(2):
        for label in (1, 2):
            p, t = probabilities[image, label], (labels[image, 0] == label).numpy()
            distance = _to_the_other_side(p > 0.5) ** 2 + _to_the_other_side(t) ** 2
            terms.append(((p - t) ** 2 * distance).mean())
    both, dice = criterion("DiceHausdorff")(logits, labels), criterion("Dice")(logits, labels)
    assert float(both - dice) == pytest.approx(math.log(1 + np.mean(terms)), rel=1e-4)


def _to_the_other_side(mask: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In voxels, from each voxel to the nearest one of another kind."""
    points = np.argwhere(np.ones_like(mask))
    kinds = mask.ravel()
    between = np.linalg.norm(points[:, None] - points[None], axis=2)
    between[kinds[:, None] == kinds[None]] = np.inf
    nearest: np.ndarray[Any, Any] = between.min(1).reshape(mask.shape)
    return nearest


# ------------------------------------------------------------------------------------------------------ augmentation


@pytest.mark.parametrize("axes", [2, 3])
def test_an_elastic_deformation_moves_masks_with_their_images(axes: int) -> None:
    size = (24, 32, 20)[:axes]
    masks = torch.zeros(6, *size, dtype=torch.uint8)
    masks[(slice(None), *(slice(5, -6) for _ in size))] = 1
    images = masks[:, None].float()
    moved, labels = augment_pairs(images, masks, generator(0, "e"), Extents(**vars(STILL) | {"elastic": 0.3}))
    assert ((moved[:, 0] > 0.5) == labels.bool()).float().mean() > 0.97
    changed = (labels != masks).flatten(1).any(1)
    assert changed.float().mean() > 0.5


def test_displacements_are_as_large_as_told_at_their_control_points() -> None:
    images = torch.zeros(4000, 1, 17, 9)  # control points stand on voxels: three along one axis, two along the other
    field = random_displacements(images, 0.2, generator(0, "d")) * torch.tensor([9, 17]) / 2  # in voxels
    corner = field[:, 0, 0]
    expected = 0.2 * CONTROL_SPACING / math.sqrt(3)  # a normal number times a uniform one
    assert corner.std(0).tolist() == pytest.approx([expected] * 2, rel=0.05)
    between = (field[:, 0, 0] + field[:, 8, 0]) / 2
    torch.testing.assert_close(field[:, 4, 0], between)


def test_images_are_mirrored_along_the_chosen_axes_alone() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.stack([torch.randperm(480, generator=random) / 480 for _ in range(40)]).reshape(40, 1, 6, 8, 10)
    masks = torch.zeros(40, 6, 8, 10, dtype=torch.uint8)
    moved, _ = augment_pairs(images, masks, generator(0, "m"), Extents(**vars(STILL) | {"mirror_axes": (0, 2)}))
    order = images.flatten(1).argsort(1)  # gamma changes values, never their order
    seen = set()
    for i in range(40):
        kinds = [axes for axes in ((), (1,), (2,), (3,), (1, 3)) if _order(moved[i].flip(axes)).equal(order[i])]
        assert len(kinds) == 1
        seen.add(kinds[0])
    assert seen == {(), (1,), (3,), (1, 3)}


def _order(image: Tensor) -> Tensor:
    return image.flatten().argsort()


def test_noise_is_as_strong_as_told() -> None:
    images = 3 * torch.randn(200, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(200, 32, 32, dtype=torch.uint8)
    calm, _ = augment_pairs(images, masks, generator(0, "n"), STILL)
    noisy, _ = augment_pairs(images, masks, generator(0, "n"), Extents(**vars(STILL) | {"noise": 0.5}))
    strength = (noisy - calm).flatten(1).std(1) / calm.flatten(1).std(1)
    assert strength.max() < 0.53
    assert float(strength.mean()) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("shape", [(12, 15), (6, 9, 8)])
def test_the_blur_is_scipys(shape: tuple[int, ...]) -> None:
    images = torch.rand(3, 2, *shape, generator=torch.Generator().manual_seed(0))
    widths = torch.tensor([1e-3, 0.6, 1.5])
    blurred = gaussian_blur(images, widths, 1.5)
    assert blurred.shape == images.shape
    for i in range(3):
        for channel in range(2):
            # scipy cuts its kernel at whole voxels: here at the same ones, whatever the width
            truncate = math.ceil(3 * 1.5) / float(widths[i])
            options = {"sigma": float(widths[i]), "mode": "nearest", "truncate": truncate}
            expected = ndimage.gaussian_filter(images[i, channel].numpy(), **options)
            np.testing.assert_allclose(blurred[i, channel], expected, atol=2e-6)


def test_what_has_no_extent_draws_nothing() -> None:
    """So a study that names a further extent changes nothing else of the augmentation."""
    images = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(3, 12, 12, dtype=torch.uint8)
    ours, theirs = generator(0, "x"), generator(0, "x")
    plain, _ = augment_pairs(images, masks, ours)
    noisy, _ = augment_pairs(images, masks, theirs, Extents(noise=1e-12))
    torch.testing.assert_close(plain, noisy)
    assert not torch.equal(ours.get_state(), theirs.get_state())


# ----------------------------------------------------------------------------------------------------- optimisation


def test_learning_rates_follow_the_epochs_alone() -> None:
    schedule = Schedule(0.1, warmup=2, horizon=10, steps_per_epoch=5)
    assert schedule.at(0) == pytest.approx(0.1 / 10)
    assert schedule.at(9) == pytest.approx(0.1 * (1 - 9 / 50) ** POWER)
    assert all(a < b for a, b in pairwise(map(schedule.at, range(6))))
    assert all(a > b for a, b in pairwise(map(schedule.at, range(10, 49))))
    assert schedule.at(50) == schedule.at(5000) == pytest.approx(0.1 * FLOOR**POWER)
    assert {Schedule(0.1, 0, 0, 5).at(step) for step in range(100)} == {0.1}


def test_the_average_is_judged_and_the_network_trained() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(2, 1, bias=False)
    start = layer.weight.detach().clone()
    model = AveragedNetwork(layer, decay=0.3)
    seen = [start.clone()]
    for step in range(4):
        with torch.no_grad():
            layer.weight += step + 1
        model.update()
        decay = min(0.3, (2 + step) / (11 + step))
        seen.append(decay * seen[-1] + (1 - decay) * layer.weight.detach())
    inputs = torch.tensor([[1.0, 2.0]])
    torch.testing.assert_close(model.train()(inputs), inputs @ layer.weight.T)
    torch.testing.assert_close(model.eval()(inputs), inputs @ seen[-1].T)
    torch.testing.assert_close(judged_weights(model.state_dict())["weight"], seen[-1])
    assert judged_weights(layer.state_dict())["weight"].equal(layer.weight)


def test_gradients_are_clipped_to_the_norm(tmp_path: Path) -> None:
    """Plain SGD moves the weights by rate times gradient, and no further than rate times norm."""
    data = segmentation_archive(tmp_path / "discs.npz").parent
    config = SMALL_U_NET | {"dataset": "discs.npz", "optimizer": "SGD", "momentum": 0, "batchSize": 16}
    moved = {}
    for norm in (0.0, 1e-3):
        weights = []
        for epochs in (1, 2):
            limited = config | {"gradientClipping": norm}
            runner = TrialRunner(tmp_path / f"{norm}-{epochs}", data, "segmentation", limited)
            assert runner.run(epochs).code == 0
            weights.append(checkpoint.decode(runner.checkpoints / "checkpoint.pt")["model"])
        difference = torch.cat([(weights[1][name] - weights[0][name]).flatten() for name in weights[0]])
        moved[norm] = float(difference.norm()) / SMALL_U_NET["learningRate"]
    assert moved[0.0] > 0.01
    assert moved[1e-3] == pytest.approx(1e-3, rel=0.01)


EVERYTHING: dict[str, Any] = SMALL_U_NET | {
    "dataset": "discs.npz", "augmentation": True, "elastic": 0.2, "noise": 0.3, "blur": 1.0, "mirrorAxes": [0, 1],
    "fullResolution": True, "residualUnits": 1, "gradientClipping": 1.0, "warmupEpochs": 2, "scheduleEpochs": 6,
    "weightAveraging": 0.9, "precision": "BFloat16", "loss": "DiceTopK", "optimizer": "SGD", "momentum": 0.95,
}  # fmt: skip


def test_rungs_give_the_bits_of_one_run(tmp_path: Path) -> None:
    data = segmentation_archive(tmp_path / "discs.npz").parent
    once, rungs = (TrialRunner(tmp_path / name, data, "segmentation", EVERYTHING) for name in ("once", "rungs"))
    outcome = once.run(4)
    assert outcome.code == 0
    assert [rungs.run(epochs).code for epochs in (1, 2)] == [0, 0]
    assert rungs.run(4).metrics == outcome.metrics
    states = [checkpoint.decode(runner.checkpoints / "checkpoint.pt")["model"] for runner in (once, rungs)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    config = SegmentationConfig(depth=2, channels=4, full_resolution=True, residual_units=1)
    u_net(config, 1, 3).load_state_dict(judged_weights(states[0]))


# ---------------------------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize(("depth", "levels"), [(1, 2), (2, 3), (3, 4)])
def test_a_level_of_full_resolution_stands_on_top(depth: int, levels: int) -> None:
    network = u_net(SegmentationConfig(depth=depth, channels=4, full_resolution=True), 1, 3)
    assert len(blocks(network)) == 2 * levels - 1
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    assert first.stride == (1, 1)
    size = 2**depth
    assert network(torch.zeros(1, 1, size, size)).shape == (1, 3, size, size)


def test_mixed_precision_is_close_and_its_logits_are_of_32_bits() -> None:
    def network(precision: str) -> nn.Module:
        torch.manual_seed(0)
        return u_net(SegmentationConfig(channels=4, precision=precision), 1, 3)

    images = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    exact, mixed = network("Float32"), network("BFloat16")
    assert exact.state_dict().keys() == mixed.state_dict().keys()
    outputs = mixed(images)
    assert outputs.dtype == torch.float32
    assert 0 < float((outputs - exact(images)).detach().abs().max()) < 0.1
    functional.mse_loss(outputs, torch.zeros_like(outputs)).backward()  # type: ignore[no-untyped-call]
    assert {p.grad.dtype for p in mixed.parameters() if p.grad is not None} == {torch.float32}


@pytest.mark.parametrize("dimensions", ["2D", "3D"])
@pytest.mark.parametrize("full_resolution", [False, True])
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_mixed_precision_on_a_processor_is_repeatable_down_to_two_voxels(
    dimensions: str, full_resolution: bool, depth: int
) -> None:
    """Whatever the memory held before: each pass begins among numbers that are none."""
    torch.manual_seed(0)
    config = SegmentationConfig(
        dimensions=dimensions, depth=depth, channels=8, full_resolution=full_resolution, precision="BFloat16"
    )
    network = u_net(config, 1, 3)
    images = torch.randn(2, 1, *[2**depth] * config.axes)
    passes: list[list[Tensor]] = []
    for _ in range(4):
        litter = [torch.full((size,), torch.nan) for size in (100, 1000, 10_000, 100_000, 1_000_000)]
        del litter
        network.zero_grad()
        network(images).square().mean().backward()
        passes.append([parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None])
    for gradients in passes[1:]:
        assert all(torch.equal(a, b) for a, b in zip(passes[0], gradients, strict=True))
    assert all(gradient.isfinite().all() for gradient in passes[0])
