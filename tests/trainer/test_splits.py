"""Splits: nothing leaks from one side to the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_trainer.data import splits
from hpo_trainer.failures import BadConfig, BadData

FRACTIONS = st.floats(0.01, 0.9)
LABELS = st.lists(st.integers(0, 3), min_size=2, max_size=60).map(lambda x: np.array(x, dtype=np.int64))
PAIRS = st.lists(st.tuples(st.integers(-1, 9), st.integers(0, 2)), min_size=2, max_size=60)


@given(LABELS, FRACTIONS)
def test_blocks_are_contiguous_in_each_class_and_use_every_sample(labels: np.ndarray, fraction: float) -> None:
    split = splits.by_blocks(labels, fraction)
    assert sorted([*split.train, *split.validation]) == list(range(len(labels)))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        validating = np.isin(members, split.validation)
        assert list(validating) == sorted(validating)
        assert not validating.all()


@given(PAIRS, FRACTIONS)
def test_no_group_is_on_both_sides_and_every_class_trains(pairs: list[tuple[int, int]], fraction: float) -> None:
    groups, labels = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    split = splits.by_groups(groups, labels, fraction)
    assert not set(groups[split.train]) & set(groups[split.validation])
    assert sorted([*split.train, *split.validation]) == list(np.flatnonzero(groups != -1))
    for group in set(groups[split.validation]):
        label = np.bincount(labels[groups == group]).argmax()
        assert any(np.bincount(labels[groups == g]).argmax() == label for g in set(groups[split.train]))


@given(st.lists(st.integers(-1, 9), min_size=2, max_size=60), FRACTIONS)
def test_folds_part_the_groups(values: list[int], fraction: float) -> None:
    groups = np.array(values, dtype=np.int64)
    if len(set(values) - {-1}) < 2:
        with pytest.raises(ValueError, match="at least two groups"):
            splits.by_fold(groups, fraction, 0)
        return
    validated: list[int] = []
    fold = 0
    while True:
        try:
            split = splits.by_fold(groups, fraction, fold)
        except BadConfig as error:
            assert f"expected less than {fold} " in str(error)
            break
        assert not set(groups[split.train]) & set(groups[split.validation])
        assert -1 not in {*groups[split.train], *groups[split.validation]}
        assert split.train.size
        validated += sorted(set(groups[split.validation]))
        fold += 1
    assert validated == sorted(set(values) - {-1})


def test_few_samples_are_taken_at_even_distances() -> None:
    labels = np.array([0] * 10 + [1] * 3)
    chosen = splits.evenly(np.arange(13), labels, 2)
    assert chosen.tolist() == [2, 7, 10, 12]
    assert splits.evenly(np.arange(13), labels, 0).tolist() == list(range(13))
    assert splits.evenly(np.arange(13), labels, 100).tolist() == list(range(13))


def test_listed_splits_must_be_disjoint_and_known() -> None:
    split = splits.by_names(["a", "b", "c"], ["c", "a"], ["b"], "splits.json")
    assert (split.train.tolist(), split.validation.tolist()) == ([0, 2], [1])
    with pytest.raises(BadData, match=r"splits.json: lists 'a' for training and for validation"):
        splits.by_names(["a", "b"], ["a"], ["a", "b"], "splits.json")
    with pytest.raises(BadData, match=r"splits.json: lists 'd', which is not in the data set"):
        splits.by_names(["a", "b"], ["d"], ["b"], "splits.json")
