"""Drawing a split: patients or volumes, never slices, dealt out so that every side sees every class in its share.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", ECML 2011,
algorithm 1), of groups in place of samples: whoever is needed by the rarest class is dealt first, to the side that
lacks most of that class. A function of names, counts and seed alone: the order of the samples does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hpo_trainer.seeding import derive

Counts = NDArray[np.int64]


def partition(groups: Sequence[str], counts: Counts, shares: Mapping[str, float], seed: int) -> tuple[str, ...]:
    """The side of each of N samples; samples of one group share a side.

    ``counts``: (N, C), how much of each class a sample holds; one that holds nothing counts for a class of its own.
    ``shares``: the share of each side, which add up to 1; the first is the training side.

    If every group is of one class, then each class with at least as many groups as there are sides is on all of them,
    and one with fewer on the first ones; and a side exceeds its share of a class by less than the class's largest
    group. Where groups hold several classes this is aimed at, not promised. Raises ValueError.
    """
    if len(groups) != len(counts) or counts.ndim != 2:
        raise ValueError(f"expected counts of shape ({len(groups)}, classes), found {counts.shape}")
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise ValueError(f"expected positive shares that add up to 1, found {dict(shares)}")
    names, member = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    nothing = (counts.sum(1, keepdims=True) == 0).astype(np.int64)
    weights = np.zeros((len(names), counts.shape[1] + 1), dtype=np.int64)
    np.add.at(weights, member, np.hstack([counts, nothing]))
    keys = [derive(seed, "split", str(name)) for name in names]
    dealt = _Deal(weights, np.array(list(shares.values()))).all(keys)
    sides = list(shares)
    return tuple(sides[s] for s in dealt[member])


def folds(groups: Sequence[str], counts: Counts, number: int, seed: int) -> NDArray[np.int64]:
    """The fold, from 0, in which each of N samples validates. Arguments and promises are ``partition``'s."""
    if number < 2:
        raise ValueError(f"expected at least two folds, found {number}")
    drawn = partition(groups, counts, {str(k): 1 / number for k in range(number)}, seed)
    return np.array([int(k) for k in drawn], dtype=np.int64)


@dataclass
class _Deal:
    """Groups as they are dealt to sides. ``weights``: (G, C), ``shares``: (S,).

    ``needed``: (S, C), what each side still lacks; ``held``: (S, C), how many groups of each class it has got.
    """

    weights: Counts
    shares: NDArray[np.float64]
    needed: NDArray[np.float64] = field(init=False)
    held: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.needed = np.outer(self.shares, self.weights.sum(0))
        self.held = np.zeros(self.needed.shape, dtype=np.int64)

    def all(self, keys: Sequence[int]) -> NDArray[np.intp]:
        """The side of each group. The largest groups come first, equal ones in the order of ``keys``."""
        present = self.weights > 0
        waiting = [
            sorted(np.flatnonzero(of).tolist(), key=lambda g: (self.weights[g, c], keys[g]))
            for c, of in enumerate(present.T)
        ]
        left = present.sum(0)
        dealt = np.full(len(keys), -1, dtype=np.intp)
        while left.any():
            rarest = int(np.where(left > 0, left, len(keys) + 1).argmin())
            group = waiting[rarest].pop()
            if dealt[group] < 0:
                side = self._side(rarest, int(left[rarest]))
                dealt[group] = side
                self.needed[side] -= self.weights[group]
                self.held[side] += present[group]
                left -= present[group]
        self._repair(dealt)
        return dealt

    def _repair(self, dealt: NDArray[np.intp]) -> None:
        """Move or swap groups as long as that brings a class to a side that lacks it, and takes none away.

        Needed only where groups hold several classes: a group dealt for one of them is then missing for another.
        """
        present = (self.weights > 0).astype(np.int64)
        possible = present.sum(0) >= len(self.shares)

        def lacking() -> int:
            return int((self.held[:, possible] == 0).sum())

        def exchange(group: int, side: int) -> None:
            self.held[dealt[group]] -= present[group]
            self.held[side] += present[group]
            dealt[group] = side

        def improve() -> bool:
            before = lacking()
            for side, label in np.argwhere((self.held == 0) & possible).tolist():
                for group in np.flatnonzero(present[:, label]).tolist():
                    home = int(dealt[group])
                    exchange(group, side)
                    if lacking() < before:
                        return True
                    for other in np.flatnonzero(dealt == side).tolist():
                        exchange(other, home)
                        if lacking() < before:
                            return True
                        exchange(other, side)
                    exchange(group, home)
            return False

        while lacking() and improve():
            pass

    def _side(self, label: int, left: int) -> int:
        """The side that needs the class most; an empty one when those left are just enough to fill the empty ones."""
        empty = np.flatnonzero(self.held[:, label] == 0)
        if left <= len(empty):
            return int(empty[0])
        needs = list(zip(self.needed[:, label], self.needed.sum(1), strict=True))
        return max(range(len(needs)), key=needs.__getitem__)
