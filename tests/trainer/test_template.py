"""Template deformation: the template, φ₀ ∘ L ∘ G, its topology, and what is measured of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hpo_trainer.config import TemplateDeformationConfig
from hpo_trainer.data.template import largest_piece, pieces, shifted, signed_distance, template
from hpo_trainer.networks.geometric import Affine, apply, grid, sample
from hpo_trainer.networks.template import TemplateNetwork, integrated, jacobian_determinants
from hpo_trainer.tasks.template_deformation import labels, soft_dice_loss, soft_masks

SIZES = {"2D": (24, 32), "3D": (16, 24, 16)}


def ball(size: tuple[int, ...], radius: float = 0.3) -> torch.Tensor:
    """φ₀ of a ball about the centre, (1, *S), in half longest sides instead of voxels."""
    return radius - grid(size, torch.zeros(())).norm(dim=-1)


def network(dimensions: str = "2D", **changes: Any) -> TemplateNetwork:
    torch.manual_seed(0)
    config = TemplateDeformationConfig(dimensions=dimensions, channels=4, depth=3, **changes)
    return TemplateNetwork(config, 1, ball(SIZES[dimensions]))


def linear_field(matrix: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """u(x) = (M - 1) x, (1, d, *S)."""
    moved = apply(Affine(matrix[None], torch.zeros(1, len(size))), grid(size, matrix))
    return (moved - grid(size, matrix)).movedim(-1, 1)


def test_pieces_touch_at_corners() -> None:
    shape = np.zeros((6, 6), dtype=bool)
    assert pieces(shape) == 0
    shape[1, 1] = shape[2, 2] = shape[4, 0] = True
    assert pieces(shape) == 2
    assert np.argwhere(largest_piece(shape)).tolist() == [[1, 1], [2, 2]]


def test_the_signed_distance_has_its_zero_between_two_voxels() -> None:
    shape = np.array([False, False, True, True, True, False])[None].repeat(9, axis=0)
    assert signed_distance(shape)[4].tolist() == [-1.5, -0.5, 0.5, 1.5, 0.5, -0.5]


@pytest.mark.parametrize("by", [(2, -3), (-1, 4), (0, 0), (9, 0)])
def test_shifting_loses_what_leaves(by: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).integers(0, 3, (7, 8), dtype=np.uint8)
    padded = np.pad(mask, 10)
    expected = np.roll(padded, by, axis=(0, 1))[10:-10, 10:-10]
    assert np.array_equal(shifted(mask, np.array(by)), expected)


def test_the_template_of_a_shape_at_many_places_is_that_shape_in_their_middle() -> None:
    mask = np.zeros((30, 40), dtype=np.uint8)
    mask[10:19, 12:25] = 1
    mask[12:16, 14:20] = 2
    moves = [(0, 0), (6, -4), (-6, 4), (3, 9), (-3, -9)]
    levels = template([shifted(mask, np.array(by)) for by in moves], 3)
    assert np.array_equal(levels[0] > 0, mask == 1)
    assert np.array_equal(levels[1] > 0, mask == 2)


def test_the_template_has_the_mean_volume_and_one_piece() -> None:
    rows, columns = np.mgrid[:40, :40]
    distance = np.hypot(rows - 19.5, columns - 19.5)
    masks = [(distance < radius).astype(np.uint8) for radius in (6, 8, 10)]
    masks.append(np.zeros_like(masks[0]))  # shows nothing, and counts for nothing
    masks[0][2:4, 2:4] = masks[0][36:38, 36:38] = 1
    levels = template(masks, 2)
    assert pieces(levels[0] > 0) == 1
    volumes = [mask.sum() for mask in masks[:3]]
    assert (levels[0] > 0).sum() == pytest.approx(np.mean(volumes), rel=0.1)


@pytest.mark.parametrize("dimensions", ["2D", "3D"])
@pytest.mark.parametrize("transformation", ["Both", "Global", "Local"])
def test_it_starts_with_the_template(dimensions: str, transformation: str) -> None:
    model = network(dimensions, transformation=transformation)
    images = torch.randn(2, 1, *SIZES[dimensions])
    levels, displacement = model(images)
    torch.testing.assert_close(levels, model.template.expand_as(levels), atol=1e-5, rtol=0)
    assert displacement.shape == (2, len(SIZES[dimensions]), *SIZES[dimensions])
    assert torch.equal(displacement, torch.zeros_like(displacement))


@pytest.mark.parametrize("field_level", [0, 1, 2, 5])
@pytest.mark.parametrize("head_layers", [0, 2])
def test_gradients_reach_every_weight(field_level: int, head_layers: int) -> None:
    model = network(field_level=field_level, head_layers=head_layers)
    images, truth = torch.randn(2, 1, 24, 32), torch.zeros(2, 1, 24, 32)
    truth[:, :, 3:15, 10:25] = 1
    step = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(2):  # the last layers start at 0 and let nothing through
        step.zero_grad()
        soft_dice_loss(soft_masks(model(images).levels, 0.2), truth).backward()  # type: ignore[no-untyped-call]
        step.step()
    silent = [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    # a bias before an instance normalisation, which subtracts the mean, changes nothing
    assert [name for name in silent if not name.endswith("bias")] == []


def test_the_global_transformation_comes_first_and_displacements_are_in_the_templates_frame() -> None:
    """φ(x) = φ₀(G x + u(G x)), with a field that changes along the first axis only."""
    model = network()
    size = SIZES["2D"]
    transform = Affine(torch.tensor([[[0.0, -1.0], [1.0, 0.0]]]), torch.tensor([[0.1, 0.0]]))
    field = torch.zeros(1, 2, *size)
    field[:, 1] = 0.3 * grid(size, field)[..., 0]
    model._global = lambda deepest: (transform, transform)  # type: ignore[method-assign]
    model._displacement = lambda maps, size: field  # type: ignore[method-assign]
    x, y = grid(size, field)[0].unbind(-1)
    gx, gy = 0.1 - y, x
    inside = (gx.abs() < 0.7) & (gy.abs() < 0.9)
    expected = sample(model.template, torch.stack([gx, gy + 0.3 * gx], dim=-1)[None])
    levels = model(torch.zeros(1, 1, *size)).levels
    torch.testing.assert_close(levels[0, 0][inside], expected[0, 0][inside], atol=1e-3, rtol=0)


def test_the_field_is_predicted_from_what_lies_over_the_template() -> None:
    """An image that is moved, and brought back by G, is bent as it was: here by whole voxels of the coarsest maps."""
    torch.manual_seed(0)
    model = TemplateNetwork(TemplateDeformationConfig(channels=4, depth=3, field_level=0), 1, ball((128, 128)))
    nn.init.normal_(model.field.weight, std=1.0)
    image = torch.zeros(1, 1, 128, 128)
    image[:, :, 60:68, 60:68] = torch.randn(8, 8)
    displacements = []
    for shift in (0.0, 0.125):
        there, back = (Affine(torch.eye(2)[None], torch.tensor([[sign * shift, 0.0]])) for sign in (1, -1))
        model._global = lambda deepest, both=(there, back): both  # type: ignore[method-assign,misc]
        moved = torch.roll(image, -round(64 * shift), dims=2)
        displacements.append(model(moved).displacement[:, :, 58:70, 58:70])
    assert displacements[0].abs().max() > 0.01
    torch.testing.assert_close(displacements[1], displacements[0], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("size", [(9, 14), (14, 9), (7, 12, 9)])
def test_the_jacobian_of_an_affine_field_is_its_determinant(size: tuple[int, ...]) -> None:
    matrix = torch.eye(len(size)) + 0.4 * torch.randn(len(size), len(size), generator=torch.Generator().manual_seed(3))
    found = jacobian_determinants(linear_field(matrix, size))
    assert found.shape == (1, *(n - 1 for n in size))
    torch.testing.assert_close(found, torch.linalg.det(matrix).expand_as(found), atol=1e-4, rtol=0)


def test_a_fold_has_a_negative_jacobian() -> None:
    mirror = torch.diag(torch.tensor([1.0, -1.0]))
    assert jacobian_determinants(linear_field(mirror, (8, 9))).max() == pytest.approx(-1, abs=1e-4)
    assert jacobian_determinants(torch.zeros(1, 2, 8, 9)).min() == 1


def waves(size: tuple[int, ...], strength: float) -> torch.Tensor:
    """A smooth velocity that vanishes at the border, (1, d, *S)."""
    points = grid(size, torch.zeros(()))
    inside = torch.cos(points * torch.pi / 2 / points.abs().flatten(0, -2).amax(0)).prod(-1)
    return strength * torch.stack([torch.sin(5 * points.roll(1, -1)[..., i]) * inside for i in range(len(size))], dim=1)


@pytest.mark.parametrize("size", [(48, 40), (24, 20, 22)])
def test_an_integrated_velocity_folds_nothing_and_runs_back(size: tuple[int, ...]) -> None:
    velocity = waves(size, 0.5)
    assert torch.equal(integrated(velocity, 0), velocity)
    assert jacobian_determinants(velocity).min() < 0
    forth, back = integrated(velocity, 7), integrated(-velocity, 7)
    assert jacobian_determinants(forth).min() > 0
    start = grid(size, velocity)
    there = start + forth.movedim(1, -1)
    again = there + sample(back, there).movedim(1, -1)
    voxel = 2 / max(size)
    assert (there - start).abs().max() > 4 * voxel
    assert (again - start).abs().max() < 0.5 * voxel


def test_a_constant_velocity_moves_everything_by_itself() -> None:
    velocity = torch.tensor([0.3, -0.1])[None, :, None, None].expand(1, 2, 9, 12)
    torch.testing.assert_close(integrated(velocity, 5), velocity)


@pytest.mark.parametrize("dimensions", ["2D", "3D"])
def test_a_mask_in_one_piece_stays_in_one_piece(dimensions: str) -> None:
    """Random fields as strong as they can be without folding; the same fields five times as strong do fold."""
    model = network(dimensions, field_level=1)  # the coarser the field, the further can it move without folding
    shape = np.zeros(SIZES[dimensions], dtype=bool)
    shape[4:12, 5:19], shape[7:9, 5:15] = True, False  # an arch
    model.template = torch.from_numpy(signed_distance(shape))[None, None]
    images = torch.randn(6, 1, *SIZES[dimensions])
    nn.init.normal_(model.field.weight, std=1.0)
    weakest = jacobian_determinants(model(images).displacement).min()
    while weakest < 0.1:
        with torch.no_grad():
            model.field.weight *= 0.8
        weakest = jacobian_determinants(model(images).displacement).min()
    masks = (model(images).levels[:, 0] > 0).numpy()
    changed = (masks != shape).reshape(6, -1).sum(axis=1)
    assert changed.min() > 0.05 * shape.sum()
    assert [pieces(mask) for mask in masks] == [1] * 6
    with torch.no_grad():
        model.field.weight *= 5
    assert jacobian_determinants(model(images).displacement).min() < 0


def test_soft_dice_is_pooled_over_the_batch() -> None:
    random = torch.Generator().manual_seed(0)
    predicted, truth = (torch.rand(3, 2, 5, 4, generator=random) for _ in range(2))
    by_class = [
        2 * (predicted[:, c] * truth[:, c]).sum() / (predicted[:, c].sum() + truth[:, c].sum()) for c in range(2)
    ]
    assert float(soft_dice_loss(predicted, truth)) == pytest.approx(1 - float(sum(by_class)) / 2)
    assert float(soft_dice_loss(truth.round(), truth.round())) == pytest.approx(0, abs=1e-6)


def test_the_edge_is_as_wide_as_told() -> None:
    levels = torch.tensor([-9.0, -0.01, 0.0, 0.01, 9.0])
    for width in (0.5, 4.0):
        soft = soft_masks(levels, width)
        assert float(soft[3] - soft[1]) / 0.02 == pytest.approx(1 / width, rel=1e-3)
        assert float(soft[2]) == 0.5


def test_a_voxel_belongs_to_the_template_that_reaches_furthest_over_it() -> None:
    levels = torch.tensor([[-1.0, 2.0, 1.0, -3.0], [-2.0, 1.0, 4.0, 0.5]])[None, :, :, None]
    assert labels(levels)[0, :, 0].tolist() == [0, 1, 2, 2]
