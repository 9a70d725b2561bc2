"""Which samples validate: pure functions of names, groups and labels, the same for every trial of a study.

No random numbers here. Medical images that lie side by side (slices of a volume, images of a patient) look alike, and a
random split lets a network win by remembering its neighbours; so blocks of neighbours stay on one side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo_trainer.failures import BadConfig, BadData

Indices = NDArray[np.intp]
SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}
"""What a split file may call a side."""
LEFT_OUT = -1
"""The group of samples that belong to no side, such as slices between two slabs."""


@dataclass(frozen=True)
class Split:
    """Positions of the training and validation samples, ascending; what is in neither is not used."""

    train: Indices
    validation: Indices

    def __post_init__(self) -> None:
        assert not np.intersect1d(self.train, self.validation).size


@dataclass(frozen=True)
class NamedSplit:
    """Who trains and who validates, by name. ``source``: who says so, for messages."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    source: object

    def of(self, names: Sequence[str]) -> Split:
        """Raises BadData for names that are not among ``names``, and for a name on both sides."""
        return by_names(names, self.train, self.validation, self.source)


def nothing() -> Indices:
    """The positions of no sample."""
    return np.zeros(0, dtype=np.intp)


def held_out(count: int, fraction: float) -> int:
    """How many of ``count`` are held out: the fraction, rounded, but at least one on either side (0 if count < 2)."""
    return min(max(1, round(count * fraction)), count - 1) if count > 1 else 0


def by_blocks(labels: NDArray[np.int64], fraction: float) -> Split:
    """The last ``fraction`` of each class, in the samples' own order, validates.

    ``labels``: shape (N,). A class of one sample trains.
    """
    validation = [of[len(of) - held_out(len(of), fraction) :] for of in _members(labels)]
    return _split(len(labels), np.concatenate(validation))


def by_groups(groups: NDArray[np.int64], labels: NDArray[np.int64], fraction: float) -> Split:
    """The last ``fraction`` of the groups of each class validates; a group's class is its most frequent label.

    ``groups`` and ``labels``: shape (N,); group -1 is left out. Stratified, since groups are often numbered class by
    class, where the last groups alone would hold one class only.
    """
    names = np.unique(groups[groups != LEFT_OUT])
    classes = np.array([np.bincount(labels[groups == name]).argmax() for name in names], dtype=np.int64)
    validating = [names[of[len(of) - held_out(len(of), fraction) :]] for of in _members(classes)]
    chosen = np.flatnonzero(np.isin(groups, np.concatenate(validating) if validating else []))
    return _split(len(groups), chosen, groups)


def by_fold(groups: NDArray[np.int64], fraction: float, fold: int) -> Split:
    """Consecutive blocks of ``fraction`` of the groups, sorted; block number ``fold`` validates.

    ``groups``: shape (N,); group -1 is left out. Raises BadConfig if there are fewer folds, ValueError if there are
    fewer than two groups.
    """
    names = np.unique(groups[groups != LEFT_OUT])
    size = held_out(len(names), fraction)
    if size == 0:
        raise ValueError(f"expected at least two groups to split, found {len(names)}")
    folds = math.ceil(len(names) / size)
    if fold >= folds:
        raise BadConfig(
            "HPO_CONFIG.fold", f"expected less than {folds} ({len(names)} groups, {size} to a fold), found {fold}"
        )
    chosen = np.flatnonzero(np.isin(groups, names[fold * size : (fold + 1) * size]))
    return _split(len(groups), chosen, groups)


def evenly(indices: Indices, labels: NDArray[np.int64], per_class: int) -> Indices:
    """At most ``per_class`` of ``indices`` of each class, at even distances in their order (0: all).

    Even distances take the most different images of a folder whose neighbours are slices of one patient, and every
    trial of a study trains on the same ones.
    """
    if per_class == 0:
        return indices
    chosen = []
    for of in _members(labels[indices]):
        count = min(per_class, len(of))
        chosen.append(indices[of[(2 * np.arange(count) + 1) * len(of) // (2 * count)]])
    return np.sort(np.concatenate(chosen))


def by_names(names: Sequence[str], train: Iterable[str], validation: Iterable[str], source: object) -> Split:
    """The split that a file lists by name. Raises BadData for unknown names, and for a name on both sides."""
    position = {name: i for i, name in enumerate(names)}
    sides = [list(train), list(validation)]
    for name in (name for side in sides for name in side):
        if name not in position:
            raise BadData(source, f"lists {name!r}, which is not in the data set")
    both = sorted(set(sides[0]) & set(sides[1]))
    if both:
        raise BadData(source, f"lists {both[0]!r} for training and for validation")
    first, second = (np.array(sorted({position[name] for name in side}), dtype=np.intp) for side in sides)
    return Split(first, second)


def _members(labels: NDArray[np.int64]) -> list[Indices]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _split(count: int, validation: Indices, groups: NDArray[np.int64] | None = None) -> Split:
    training = np.ones(count, dtype=bool) if groups is None else groups != LEFT_OUT
    training[validation] = False
    return Split(np.flatnonzero(training), np.sort(validation))
