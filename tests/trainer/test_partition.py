"""Drawn splits: no group on two sides, every class on every side, whatever the order of the samples."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hpo_trainer.data.partition import folds, partition

SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}
SEEDS = st.integers(0, 2**31)
GROUPS = st.lists(st.integers(0, 12).map(lambda g: f"p{g}"), min_size=1, max_size=60)
Counts = np.ndarray[Any, np.dtype[np.int64]]


def counts_of(groups: list[str], classes: int, seed: int) -> Counts:
    """Each sample of one class or of several, or of none."""
    return np.random.default_rng(seed).integers(0, 2, (len(groups), classes))


def one_class_each(groups: list[str], classes: int) -> Counts:
    return np.eye(classes, dtype=np.int64)[[int(g[1:]) % classes for g in groups]]


@given(GROUPS, st.integers(1, 4), SEEDS)
def test_a_group_is_on_one_side_and_the_order_does_not_matter(groups: list[str], classes: int, seed: int) -> None:
    counts = counts_of(groups, classes, seed)
    sides = partition(groups, counts, SHARES, seed)
    assert len({*zip(groups, sides, strict=True)}) == len(set(groups))
    order = np.random.default_rng(seed).permutation(len(groups))
    again = partition([groups[i] for i in order], counts[order], SHARES, seed)
    assert again == tuple(sides[i] for i in order)


@given(GROUPS, st.integers(1, 4), SEEDS)
def test_every_class_is_on_every_side_and_no_side_takes_too_much(groups: list[str], classes: int, seed: int) -> None:
    counts = one_class_each(groups, classes)
    sides = np.array(partition(groups, counts, SHARES, seed))
    names = np.array(groups)
    for label in range(classes):
        of = counts[:, label] > 0
        having = len(set(names[of]))
        assert set(sides[of]) == {*list(SHARES)[:having]}
        largest = max((int((names[of] == g).sum()) for g in set(names[of])), default=0)
        for side, share in SHARES.items():
            assert int((sides[of] == side).sum()) <= share * of.sum() + largest


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=2, max_size=6), SEEDS)
def test_groups_of_several_classes_are_dealt_as_well_as_can_be(rows: list[list[bool]], seed: int) -> None:
    counts = np.array(rows, dtype=np.int64)
    assume(counts.any(1).all())
    sides = {"train": 0.7, "val": 0.3}

    def lacking(dealt: tuple[str, ...]) -> int:
        needed = [c for c in counts.T if c.sum() >= 2]
        return sum(not c[np.array(dealt) == side].any() for c in needed for side in sides)

    found = lacking(partition([str(i) for i in range(len(rows))], counts, sides, seed))
    assert found == min(lacking(dealt) for dealt in product(sides, repeat=len(rows)))


@given(GROUPS, st.integers(2, 5), SEEDS)
def test_folds_validate_everything_once(groups: list[str], number: int, seed: int) -> None:
    counts = one_class_each(groups, 2)
    fold = folds(groups, counts, number, seed)
    assert set(fold) <= set(range(number))
    assert len({*zip(groups, fold.tolist(), strict=True)}) == len(set(groups))
    for label in range(2):
        having = len({g for g, c in zip(groups, counts, strict=True) if c[label]})
        assert len(set(fold[counts[:, label] > 0])) == min(number, having)


def test_equal_groups_are_dealt_in_exact_shares_and_by_the_seed() -> None:
    groups = [f"p{i}" for i in range(200)]
    counts = one_class_each(groups, 2)
    drawn = [partition(groups, counts, SHARES, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    for sides in drawn:
        for label in (0, 1):
            here = [s for s, c in zip(sides, counts, strict=True) if c[label]]
            assert [here.count(s) for s in SHARES] == [50, 25, 25]
    differing = sum(a != b for a, b in zip(drawn[0], drawn[2], strict=True))
    assert 90 < differing < 160  # 1 - (0.5² + 2 · 0.25²) = 0.625 of 200 would be chance


@pytest.mark.parametrize("seed", range(8))
def test_a_large_patient_is_balanced_by_small_ones(seed: int) -> None:
    groups = ["large"] * 8 + [f"small{i}" for i in range(8)]
    sides = partition(groups, np.ones((16, 1), dtype=np.int64), {"train": 0.5, "val": 0.5}, seed)
    assert sides.count("train") == sides.count("val") == 8


@pytest.mark.parametrize(
    ("counts", "shares", "message"),
    [
        (np.ones((2, 1), dtype=np.int64), SHARES, r"expected counts of shape \(3, classes\), found \(2, 1\)"),
        (np.ones((3, 1), dtype=np.int64), {"train": 0.5, "val": 0.2}, "positive shares that add up to 1"),
        (np.ones((3, 1), dtype=np.int64), {"train": 1.0, "val": 0.0}, "positive shares that add up to 1"),
        (np.ones((3, 1), dtype=np.int64), {}, "positive shares that add up to 1"),
    ],
)
def test_what_cannot_be_dealt(counts: Counts, shares: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        partition(["a", "b", "c"], counts, shares, 0)


def test_one_fold_is_none() -> None:
    with pytest.raises(ValueError, match="at least two folds, found 1"):
        folds(["a", "b"], np.ones((2, 1), dtype=np.int64), 1, 0)
