"""Geometric and intensity transformations: the identity at the start, exact inverses, coordinates by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hpo_trainer.networks import u_net
from hpo_trainer.networks.geometric import (
    ROTATION,
    SCALE,
    TRANSLATION,
    GeometricWrapper,
    affine,
    apply,
    grid,
    parameter_number,
    resample,
    rotations,
    sample,
)
from hpo_trainer.networks.intensity import IntensityLayer
from hpo_trainer.networks.predictor import Predictor
from trainer.support import source_config

SIZES = {2: (21, 34), 3: (12, 20, 17)}


def random_parameters(axes: int, spread: float, count: int = 8) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return (torch.randn(count, parameter_number(axes), generator=random, dtype=torch.float64) * spread).double()


def blob(size: tuple[int, ...]) -> torch.Tensor:
    """A smooth image (1, 1, *S): a Gaussian off the centre, 0 towards the edges."""
    points = grid(size, torch.zeros(()))[0]
    centre = torch.tensor([0.1, -0.15, 0.05][: len(size)])
    return torch.exp(-((points - centre) ** 2).sum(-1) / 0.05)[None, None]


def test_five_parameters_in_2d_and_nine_in_3d() -> None:
    assert [parameter_number(axes) for axes in (2, 3)] == [5, 9]


@pytest.mark.parametrize("axes", [2, 3])
def test_the_inverse_is_exact(axes: int) -> None:
    forth, back = affine(random_parameters(axes, 2.0), axes)
    points = torch.randn(8, 50, axes, dtype=torch.float64)
    assert (apply(back, apply(forth, points)) - points).abs().max() < 1e-12
    assert (apply(forth, apply(back, points)) - points).abs().max() < 1e-12
    torch.testing.assert_close(back.linear, torch.linalg.inv(forth.linear), atol=1e-12, rtol=0)
    single = affine(random_parameters(axes, 2.0).float(), axes)
    assert (apply(single[1], apply(single[0], points.float())) - points).abs().max() < 1e-5


@pytest.mark.parametrize("axes", [2, 3])
def test_zero_is_the_identity_and_every_parameter_is_bounded(axes: int) -> None:
    transform, _ = affine(torch.zeros(1, parameter_number(axes)), axes)
    assert torch.equal(transform.linear[0], torch.eye(axes))
    assert torch.equal(transform.shift[0], torch.zeros(axes))
    wild, inverse = affine(torch.full((1, parameter_number(axes)), 1e9), axes)
    assert torch.equal(wild.shift[0], torch.full((axes,), TRANSLATION))
    assert float(torch.linalg.det(wild.linear)) == pytest.approx(SCALE**axes, rel=1e-5)
    assert torch.isfinite(inverse.linear).all()


def test_rotations_are_rotations_in_their_plane() -> None:
    turn = rotations(torch.tensor([[math.pi / 2]]), 2)[0]
    torch.testing.assert_close(turn @ torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), atol=1e-6, rtol=0)
    turns = rotations(torch.randn(5, 3, dtype=torch.float64) * ROTATION, 3)
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3, dtype=torch.float64).expand(5, 3, 3))
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("axes", [2, 3])
def test_sampling_at_the_voxels_gives_the_image_back(axes: int) -> None:
    images = torch.randn(2, 3, *SIZES[axes])
    points = grid(SIZES[axes], images).expand(2, *SIZES[axes], axes)
    torch.testing.assert_close(sample(images, points), images, atol=1e-4, rtol=0)
    half = 2 / max(SIZES[axes]) / 2  # half a voxel along the first axis: the mean of two neighbours
    moved = points + torch.tensor([half, 0.0, 0.0][:axes])
    expected = (images[:, :, :-1] + images[:, :, 1:]) / 2
    torch.testing.assert_close(sample(images, moved)[:, :, :-1], expected, atol=1e-4, rtol=0)


def test_a_translation_moves_by_whole_voxels() -> None:
    """2 voxels of 34, the longest side, are a shift of 4 / 34 half longest sides, whichever the axis."""
    images = torch.randn(1, 1, 21, 34)
    parameters = torch.zeros(1, 5)
    parameters[0, 0] = math.atanh(2 * 2 / 34 / TRANSLATION)
    moved = resample(images, affine(parameters, 2)[0])
    torch.testing.assert_close(moved[:, :, :-2], images[:, :, 2:], atol=1e-4, rtol=0)


@pytest.mark.parametrize("axes", [2, 3])
def test_forth_and_back_gives_a_smooth_image_within_the_error_of_interpolation(axes: int) -> None:
    """Linear interpolation errs by h² / 8 · |f″| along each axis, twice, and |f″| of the blob is 2 / 0.05 as scaled."""
    size = {2: (60, 80), 3: (40, 50, 44)}[axes]
    image, bound = blob(size), 2 * axes * (2 / max(size)) ** 2 / 8 * (2 / 0.05) * 1.5
    for parameters in random_parameters(axes, 0.07).float():
        forth, back = affine(parameters[None], axes)
        there = resample(image, forth)
        again = resample(there, back)
        assert (again - image).abs().mean() < 0.1 * (there - image).abs().mean()
        assert (again - image).abs().max() < bound


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("size", [(9, 16, 11), (4, 3, 2)])
def test_predictors_start_at_zero_and_learn(axes: int, size: tuple[int, ...]) -> None:
    predictor = Predictor(axes, 2, 5, width=4)
    images = torch.randn(6, 2, *size[:axes])
    assert torch.equal(predictor(images), torch.zeros(6, 5))
    step = torch.optim.Adam(predictor.parameters(), lr=1e-3)
    (predictor(images) - 1).square().sum().backward()
    step.step()
    predictor.zero_grad()
    (predictor(images) - 1).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in predictor.parameters())


@pytest.mark.parametrize("dimensions", ["2D", "3D"])
def test_a_wrapped_network_starts_as_it_was(dimensions: str) -> None:
    config = source_config(dimensions)
    network = u_net(config, 1, 3)
    images = torch.randn(2, 1, *(16, 12, 8)[: config.axes])
    wrapped = GeometricWrapper(network, config.axes, 1, width=4)
    torch.testing.assert_close(wrapped(images), network(images), atol=2e-4, rtol=0)


def test_what_is_transformed_at_the_entrance_is_transformed_back_at_the_output() -> None:
    """Around a network that returns its input, nothing is left of any transformation but the interpolation."""
    wrapper = GeometricWrapper(nn.Identity(), 2, 1, width=4)
    linear = next(module for module in wrapper.modules() if isinstance(module, nn.Linear))
    nn.init.constant_(linear.bias, 0.8)
    image = blob((60, 80))
    forth, _ = affine(wrapper.predictor(image), 2)
    assert (resample(image, forth) - image).abs().max() > 0.2
    assert (wrapper(image) - image).abs().max() < 0.03


@pytest.mark.parametrize("axes", [2, 3])
def test_the_intensity_layer_starts_at_the_identity_and_scales_each_map(axes: int) -> None:
    layer = IntensityLayer(axes, channels=3, width=4)
    maps = torch.randn(2, 3, *(8, 6, 5)[:axes])
    assert torch.equal(layer(maps), maps)
    linear = next(module for module in layer.modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        linear.bias[:] = torch.tensor([1.0, 0.0, -1.0, 0.0, 2.0, 0.0]) * linear.in_features**0.5
    gained = layer(maps)
    torch.testing.assert_close(gained[:, 0], 2 * maps[:, 0])
    torch.testing.assert_close(gained[:, 1], maps[:, 1] + 2)
    torch.testing.assert_close(gained[:, 2], torch.zeros_like(maps[:, 2]))


def test_the_transformation_can_be_found_by_gradient_descent() -> None:
    """Gradients reach the parameters through the resampling: a moved, larger blob is put back on its original."""
    image = blob((30, 40))
    hidden = torch.tensor([[0.2, -0.15, 0.3, 0.1, -0.1]])
    moved = resample(image, affine(hidden, 2)[0])
    parameters = torch.zeros(1, 5, requires_grad=True)
    step = torch.optim.Adam([parameters], lr=0.02)
    before = float((moved - image).square().mean())
    for _ in range(60):
        step.zero_grad()
        loss = (resample(moved, affine(parameters, 2)[1]) - image).square().mean()
        loss.backward()
        step.step()
    assert float(loss.detach()) < 0.05 * before
