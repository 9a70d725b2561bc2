"""Networks, augmentation and metrics, each against a calculation by other means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hpo_trainer.config import ClassificationConfig, SegmentationConfig
from hpo_trainer.data.augmentation import apply_gamma, augment_images, augment_pairs, random_affine
from hpo_trainer.data.patches import random_patch, training_image
from hpo_trainer.data.segmentation import Sample
from hpo_trainer.evaluation.segmentation import DiceByCase
from hpo_trainer.networks import BlockNetwork, parameter_count, u_net
from hpo_trainer.seeding import derive, generator
from hpo_trainer.tasks.losses import criterion
from hpo_trainer.tasks.segmentation import by_case


def test_the_baseline_of_the_paper_has_its_number_of_weights() -> None:
    network = BlockNetwork(ClassificationConfig(), classes=6)
    convolutions = (9 * 1 * 64 + 64) + 4 * (9 * 64 * 64 + 64)
    dense = (2 * 2 * 64 * 4096 + 4096) + (4096 * 1024 + 1024) + (1024 * 6 + 6)
    assert parameter_count(network) == convolutions + dense
    assert network(torch.zeros(2, 1, 64, 64)).shape == (2, 6)


def test_separable_convolutions_have_two_thin_kernels() -> None:
    config = ClassificationConfig(
        blocks=2, convolutions_per_block=2, filters=4, kernel_size=5, separable=True, image_size=16, dense_units=()
    )
    shapes = [tuple(p.shape) for name, p in BlockNetwork(config, 3).named_parameters() if p.ndim == 4]
    assert shapes == [(4, 1, 1, 5), (4, 4, 5, 1), *[(4, 4, 1, 5), (4, 4, 5, 1)] * 3]


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("residual_units", [0, 2])
@pytest.mark.parametrize("dimensions", ["2D", "3D"])
def test_the_u_net_keeps_the_size(depth: int, residual_units: int, dimensions: str) -> None:
    config = SegmentationConfig(
        depth=depth, channels=4, channel_multiplier=1.5, residual_units=residual_units, dimensions=dimensions
    )
    images = torch.zeros(1, 2, *[2**depth] * config.axes)
    assert u_net(config, 2, 3)(images).shape == (1, 3, *images.shape[2:])


@pytest.mark.parametrize("loss", ["Dice", "DiceCE", "GeneralizedDice", "DiceFocal", "DiceTopK", "DiceHausdorff"])
def test_a_right_answer_costs_less_than_a_wrong_one(loss: str) -> None:
    labels = torch.arange(3).repeat(12).reshape(1, 1, 6, 6)
    right = torch.nn.functional.one_hot(labels[:, 0], 3).movedim(3, 1).float() * 20
    value = criterion(loss)
    assert float(value(right, labels)) < 0.01 < 0.5 < float(value(right.roll(1, dims=1), labels))


def test_augmented_masks_move_with_their_images() -> None:
    masks = torch.zeros(16, 24, 32, dtype=torch.uint8)
    masks[:, 6:16, 5:12] = 1
    images = masks[:, None].float()
    moved, labels = augment_pairs(images, masks, generator(0, "a"))
    assert labels.dtype == torch.uint8
    assert set(torch.unique(labels).tolist()) <= {0, 1}
    assert ((moved[:, 0] > 0.5) == labels.bool()).float().mean() > 0.97
    assert (labels.flatten(1).float() - masks.flatten(1).float()).abs().sum(1).min() > 0
    again = augment_pairs(images, masks, generator(0, "a"))
    assert torch.equal(again[0], moved)


def test_rotations_do_not_shear_oblong_images() -> None:
    """A disc stays a disc of its area: up to the 10 % that scaling may add to its radius, and the shear."""
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(120.0), indexing="ij")
    disc = (((rows - 20) ** 2 + (columns - 60) ** 2) < 100).to(torch.uint8)
    _, labels = augment_pairs(disc[None, None].float().repeat(20, 1, 1, 1), disc.repeat(20, 1, 1), generator(1, "b"))
    for label in labels:
        tall, wide = (torch.where(label.any(axis))[0] for axis in (1, 0))
        ratio = (tall[-1] - tall[0] + 1) / (wide[-1] - wide[0] + 1)
        assert 0.8 < float(ratio) < 1.25


def test_augmented_classification_images_differ_and_repeat() -> None:
    images = torch.rand(4, 1, 16, 16)
    first = augment_images(images, generator(3, "augmentation", 1))
    assert torch.equal(first, augment_images(images, generator(3, "augmentation", 1)))
    assert not torch.equal(first, augment_images(images, generator(3, "augmentation", 2)))


def test_gamma_keeps_the_range() -> None:
    images = torch.randn(3, 1, 8, 8)
    changed = apply_gamma(images, torch.tensor([0.7, 1.0, 1.5]))
    torch.testing.assert_close(changed[1], images[1])
    torch.testing.assert_close(changed.amax((1, 2, 3)), images.amax((1, 2, 3)))
    assert changed[0].mean() > images[0].mean()
    assert changed[2].mean() < images[2].mean()


def test_affine_maps_have_a_determinant_of_the_scaling_alone() -> None:
    """Rotations and shears keep volumes, so |A| is scale^axes, within 0.9³ and 1.1³."""
    determinant = torch.linalg.det(random_affine(50, 3, generator(0, "c"))[:, :, :3])
    assert 0.9**3 <= float(determinant.min()) < float(determinant.max()) <= 1.1**3


def test_patches_hold_foreground_more_often_than_chance() -> None:
    image, mask = torch.zeros(1, 40, 40), torch.zeros(40, 40, dtype=torch.uint8)
    mask[35:38, 35:38] = 1
    image[0] = mask
    sample, random = training_image(Sample(image, mask, 0), (8, 16)), generator(0, "patches")
    patches = [random_patch(sample, (8, 16), random) for _ in range(200)]
    assert {(*i.shape, *m.shape) for i, m in patches} == {(1, 8, 16, 8, 16)}
    assert all(torch.equal(i[0], m.float()) for i, m in patches)
    assert 0.45 < np.mean([bool(m.any()) for _, m in patches]) < 0.8


def test_dice_is_pooled_over_each_case_and_leaves_absent_classes_out() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 3, (4, 2, 9, 9)), rng.integers(0, 3, (4, 2, 9, 9))
    truth[1][truth[1] == 2] = predicted[1][predicted[1] == 2] = 0  # case 1 has no class 2
    dice = DiceByCase(["background", "left", "the right"])
    for case in range(4):
        dice.add(torch.from_numpy(predicted[case]), torch.from_numpy(truth[case]))

    def by_hand(label: int, cases: list[int]) -> float:
        pairs = [(predicted[c] == label, truth[c] == label) for c in cases]
        return float(np.mean([2 * (p & t).sum() / (p.sum() + t.sum()) for p, t in pairs]))

    left, right = by_hand(1, [0, 1, 2, 3]), by_hand(2, [0, 2, 3])
    expected = {"dice": (left + right) / 2, "dice_left": left, "dice_the_right": right}
    assert dice.metrics() == pytest.approx(expected)


def test_a_case_is_whole_wherever_its_slices_stand() -> None:
    samples = [Sample(torch.zeros(1, 4, 4), torch.zeros(4, 4), case) for case in (0, 1, 0, 2, 1, 0)]
    assert [[s.case for s in case] for case in by_case(samples)] == [[0, 0, 0], [1, 1], [2]]


def test_derived_seeds_differ_by_purpose_and_epoch() -> None:
    seeds = {derive(s, p, e) for s in (0, 1, 10) for p in ("order", "dropout") for e in (0, 1, 10)}
    assert len(seeds) == 18
    assert all(0 <= s < 2**63 for s in seeds)
