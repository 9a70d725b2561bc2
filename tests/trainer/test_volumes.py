"""Decisions on volumes: dynamic programming against brute force, smoothing against its definition, votes."""

from __future__ import annotations

from itertools import combinations_with_replacement, pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from hpo_trainer.volumes import Block, Curves, majority_vote, majority_votes, regions, smooth

BODY = ("legs", "pelvis", "abdomen", "chest", "head")


def quarters(most_slices: int, most_classes: int) -> st.SearchStrategy[Curves]:
    """Curves whose sums are exact in floating point, with many ties."""
    shape = st.tuples(st.integers(1, most_slices), st.integers(1, most_classes))
    return shape.flatmap(lambda s: arrays(np.float64, s, elements=st.integers(0, 4).map(lambda n: n / 4)))


def brute_force(curves: Curves, order: list[int]) -> tuple[float, list[int]]:
    """The greatest sum of all labellings that keep the order, and the least of those that reach it, slice by slice."""
    ranks = list(combinations_with_replacement(range(len(order)), len(curves)))
    sums = [float(sum(curves[z, order[r]] for z, r in enumerate(path))) for path in ranks]
    best = [path for path, total in zip(ranks, sums, strict=True) if total == max(sums)]
    return max(sums), [order[r] for r in np.min(best, axis=0)]


@given(quarters(6, 4), st.randoms(use_true_random=False))
def test_regions_are_what_trying_everything_finds(curves: Curves, random: Random) -> None:
    order = list(range(curves.shape[1]))
    random.shuffle(order)
    order = order[: max(1, len(order) - 1)] if len(curves) % 2 else order
    found = regions(curves, order)
    total, labels = brute_force(curves, order)
    assert found.total == total
    assert found.labels.tolist() == labels
    assert found.total == curves[np.arange(len(curves)), found.labels].sum()


@given(quarters(6, 3))
def test_both_directions_of_the_body(curves: Curves) -> None:
    order = list(range(curves.shape[1]))
    forward, backward, either = (regions(curves, order, way) for way in ("Forward", "Backward", "Either"))
    assert backward.total == brute_force(curves[::-1], order)[0]
    np.testing.assert_array_equal(backward.labels[::-1], regions(curves[::-1], order).labels)
    better = forward if forward.total >= backward.total else backward
    assert either.total == better.total
    np.testing.assert_array_equal(either.labels, better.labels)


@given(quarters(40, 6))
def test_each_region_is_at_most_one_block_and_borders_lie_where_curves_cross(curves: Curves) -> None:
    found = regions(curves, range(curves.shape[1]))
    blocks = found.blocks
    assert [b.label for b in blocks] == sorted({b.label for b in blocks})
    assert [b.first for b in blocks] == [0, *(b.last + 1 for b in blocks[:-1])]
    assert blocks[-1].last == len(curves) - 1
    for before, after in pairwise(blocks):  # equation 2.25, between two slices
        assert curves[before.last, before.label] >= curves[before.last, after.label]
        assert curves[after.first, after.label] >= curves[after.first, before.label]


def full_body(noise: float) -> tuple[Curves, NDArray[np.int64]]:
    """100 slices from the legs to the head; every seventh looks like pelvis (the straps of figure 2.16)."""
    truth = np.repeat(np.arange(5), [30, 12, 20, 20, 18])
    rng = np.random.default_rng(0)
    curves = 0.7 * np.eye(5)[truth] + noise * rng.random((100, 5))
    curves[::7, 1] += 1
    return curves / curves.sum(1, keepdims=True), truth


def test_strange_slices_are_corrected() -> None:
    curves, truth = full_body(noise=0.6)
    raw = int((curves.argmax(1) != truth).sum())
    found = regions(smooth(curves, 1.5), range(5))
    assert raw >= 13
    assert int((found.labels != truth).sum()) <= 4
    assert [BODY[b.label] for b in found.blocks] == list(BODY)
    upside_down = regions(smooth(curves[::-1], 1.5), range(5), "Either")
    np.testing.assert_array_equal(upside_down.labels[::-1], found.labels)


def test_a_region_may_be_absent_and_a_class_outside_the_order_is_never_given() -> None:
    curves = np.array([[0.9, 0.0, 0.1, 0.0], [0.1, 0.0, 0.2, 0.7], [0.0, 0.1, 0.8, 0.1]])
    assert regions(curves, [0, 1, 2]).blocks == (Block(0, 0, 0), Block(2, 1, 2))
    assert regions(curves, [1]).labels.tolist() == [1, 1, 1]


@given(quarters(30, 3), st.floats(0.1, 20))
def test_smoothing_is_a_weighted_mean_of_the_neighbours(curves: Curves, deviation: float) -> None:
    distance = np.subtract.outer(np.arange(len(curves)), np.arange(len(curves)))
    weights = np.exp(-0.5 * (distance / deviation) ** 2)
    expected = weights @ curves / weights.sum(1, keepdims=True)
    np.testing.assert_allclose(smooth(curves, deviation), expected, atol=5e-4)  # it is cut at four deviations
    np.testing.assert_array_equal(smooth(curves, 0), curves)
    np.testing.assert_allclose(smooth(np.full_like(curves, 0.3), deviation), 0.3)


def test_the_majority_decides_and_sums_break_ties() -> None:
    curves = np.array([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.6, 0.4, 0.0], [0.0, 0.9, 0.1]])
    assert majority_vote(curves[:3]) == 0
    assert majority_vote(curves) == 1
    assert majority_vote(np.full((2, 3), 1 / 3)) == 0
    assert majority_votes(curves, np.array([7, 3, 7, 3])) == {3: 1, 7: 0}


@pytest.mark.parametrize(
    ("curves", "order", "message"),
    [
        (np.zeros((0, 2)), [0], r"shape \(slices, classes\), found \(0, 2\)"),
        (np.zeros(3), [0], r"found \(3,\)"),
        (np.array([[np.nan, 1.0]]), [0], "expected probabilities"),
        (np.array([[-0.1, 1.0]]), [0], "expected probabilities"),
        (np.ones((1, 2)), [0, 0], r"expected different classes below 2 in order, found \[0, 0\]"),
        (np.ones((1, 2)), [2], r"below 2"),
        (np.ones((1, 2)), [], r"found \[\]"),
    ],
)
def test_what_is_no_class_curve_is_refused(curves: Curves, order: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regions(curves, order)


def test_smoothing_and_votes_refuse_as_well() -> None:
    with pytest.raises(ValueError, match="expected a standard deviation of at least 0 slices, found -1"):
        smooth(np.ones((3, 2)), -1)
    with pytest.raises(ValueError, match="expected one volume number for each of 3 slices"):
        majority_votes(np.ones((3, 2)), np.array([1, 2]))
