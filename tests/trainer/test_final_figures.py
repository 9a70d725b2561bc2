"""Distances between outlines, and bootstrap intervals, against brute force and others' code."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.surface_dice import compute_surface_dice
from scipy import ndimage, stats

from hpo_trainer.evaluation.bootstrap import intervals
from hpo_trainer.evaluation.surface import Bool, boundary, surface_distances, surface_metrics

SPACING = (1.5, 0.7, 2.0)


def blob(seed: int, size: tuple[int, ...] = (9, 12, 8)) -> Bool:
    """A smooth random structure."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=size), 1.5)
    return np.asarray(noise > np.quantile(noise, 0.7), dtype=np.bool_)


def brute_force(predicted: Bool, true: Bool, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """All distances between boundary voxels, found by looking at each voxel's neighbours."""

    def edge(shape: Bool) -> np.ndarray:
        found = []
        for voxel in np.argwhere(shape):
            for axis in range(shape.ndim):
                for step in (-1, 1):
                    other = voxel.copy()
                    other[axis] += step
                    inside = (other >= 0).all() and (other < shape.shape).all()
                    if not inside or not shape[tuple(other)]:
                        found.append(tuple(voxel))
        return np.array(sorted(set(found))) * spacing

    distances = np.linalg.norm(edge(predicted)[:, None] - edge(true)[None], axis=2)
    return np.sort(distances.min(1)), np.sort(distances.min(0))


@pytest.mark.parametrize("seed", range(4))
def test_distances_are_those_of_brute_force(seed: int) -> None:
    predicted, true = blob(seed), blob(seed + 100)
    found = surface_distances(predicted, true, SPACING)
    expected = brute_force(predicted, true, SPACING)
    assert np.allclose(np.sort(found.predicted), expected[0])
    assert np.allclose(np.sort(found.true), expected[1])
    assert found.hausdorff(100) == pytest.approx(max(expected[0].max(), expected[1].max()))
    near = (expected[0] <= 1.5).sum() + (expected[1] <= 1.5).sum()
    assert found.surface_dice(1.5) == pytest.approx(near / (len(expected[0]) + len(expected[1])))


@pytest.mark.parametrize("seed", range(4))
def test_monai_agrees(seed: int) -> None:
    predicted, true = blob(seed), blob(seed + 100)
    pair = [torch.from_numpy(shape)[None, None].float() for shape in (predicted, true)]
    hausdorff, dice = surface_metrics(predicted, true, SPACING, tolerance=1.2)
    theirs = compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=SPACING)
    assert hausdorff == pytest.approx(float(theirs))
    theirs = compute_surface_dice(*pair, class_thresholds=[1.2], include_background=True, spacing=SPACING)
    assert dice == pytest.approx(float(theirs))


def test_a_shift_is_its_distance() -> None:
    true = np.zeros((30, 30), dtype=bool)
    true[10:20, 10:20] = True
    assert surface_metrics(true, true, (1, 1), 1) == (0.0, 1.0)
    shifted = np.roll(true, 3, axis=0)
    hausdorff, _ = surface_metrics(shifted, true, (0.5, 1), 1)
    assert hausdorff == 1.5  # three voxels of half a millimetre
    assert surface_metrics(np.roll(true, 1, axis=0), true, (1, 1), 1)[1] == 1.0


def test_a_structure_that_is_missed_or_made_up_is_as_far_as_can_be() -> None:
    shape, nothing = blob(0), np.zeros((9, 12, 8), dtype=bool)
    diagonal = math.hypot(9 * 1.5, 12 * 0.7, 8 * 2.0)
    assert surface_metrics(nothing, shape, SPACING, 1) == (pytest.approx(diagonal), 0.0)
    assert surface_metrics(shape, nothing, SPACING, 1) == (pytest.approx(diagonal), 0.0)
    assert all(math.isnan(value) for value in surface_metrics(nothing, nothing, SPACING, 1))


def test_the_border_of_the_image_is_an_outline() -> None:
    assert boundary(np.ones((3, 3), dtype=bool)).sum() == 8


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    found = intervals(lambda rows: {"mean": float(values[rows].mean())}, [str(i) for i in range(400)])["mean"]
    error = values.std() / math.sqrt(400)
    assert found.value == values.mean()
    low, high = stats.norm.interval(0.95, values.mean(), error)
    assert (found.low, found.high) == (pytest.approx(low, abs=error / 8), pytest.approx(high, abs=error / 8))


def test_whole_patients_are_drawn() -> None:
    """Ten patients of 40 equal images each: there are ten opinions, not 400."""
    values = np.repeat(np.random.default_rng(4).normal(size=10), 40)

    def mean(rows: np.ndarray) -> dict[str, float]:
        return {"mean": float(values[rows].mean())}

    alone = intervals(mean, [str(i) for i in range(400)])["mean"]
    by_patient = intervals(mean, [str(i // 40) for i in range(400)])["mean"]
    assert (by_patient.high - by_patient.low) / (alone.high - alone.low) == pytest.approx(math.sqrt(40), rel=0.1)


def test_draws_without_a_class_do_not_count() -> None:
    labels = np.array([0, 0, 0, 1])

    def share(rows: np.ndarray) -> dict[str, float]:
        return {"ones": float(len(rows)) if (labels[rows] == 1).any() else math.nan, "none": math.nan}

    found = intervals(share, list("abcd"), draws=50)
    assert (found["ones"].low, found["ones"].high) == (4, 4)
    assert math.isnan(found["none"].value) and math.isnan(found["none"].low)


def test_one_patient_has_no_interval() -> None:
    found = intervals(lambda rows: {"mean": float(len(rows))}, ["a", "a"])["mean"]
    assert found.value == 2 and math.isnan(found.low) and math.isnan(found.high)


def test_the_seed_alone_decides() -> None:
    values = np.random.default_rng(5).normal(size=30)

    def mean(rows: np.ndarray) -> dict[str, float]:
        return {"mean": float(values[rows].mean())}

    groups = [str(i) for i in range(30)]
    assert intervals(mean, groups, seed=1) == intervals(mean, groups, seed=1)
    assert intervals(mean, groups, seed=1) != intervals(mean, groups, seed=2)
