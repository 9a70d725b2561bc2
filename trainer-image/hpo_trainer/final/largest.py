"""Whether stray pieces of a predicted structure are taken away, decided for each class on validation images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hpo_trainer.data.template import largest_piece
from hpo_trainer.evaluation.segmentation import DiceByCase
from hpo_trainer.final.sides import Case, Cases, Mask, Probabilities


@dataclass(frozen=True)
class Largest:
    """``labels``: the classes of which only the largest connected component of each item is kept."""

    labels: tuple[int, ...] = ()

    def masks(self, case: Case, part: Probabilities) -> list[Mask]:
        """The classes predicted for each item of the case; ``part``: (N, K, *S)."""
        return [self.applied(item.argmax(0).astype(np.uint8)) for item in case.assembled(part)]

    def applied(self, mask: Mask) -> Mask:
        """What is taken away becomes background. Voxels that touch at a corner are connected."""
        cleaned = mask.copy()
        for label in self.labels:
            shape = mask == label
            cleaned[shape & ~largest_piece(shape)] = 0
        return cleaned


def chosen(side: Cases, parts: Iterable[Probabilities], classes: Sequence[str]) -> Largest:
    """The classes whose mean Dice over the cases rises by it. One class's pieces do not touch another's figures."""
    as_it_is, cleaned = DiceByCase(classes), DiceByCase(classes)
    every = Largest(tuple(range(1, len(classes))))
    for case, part in zip(side.cases, parts, strict=True):
        truth = torch.from_numpy(np.concatenate([item.mask.ravel() for item in case.items()]))
        for dice, masks in ((as_it_is, Largest().masks(case, part)), (cleaned, every.masks(case, part))):
            dice.add(torch.from_numpy(np.concatenate([mask.ravel() for mask in masks])), truth)
    before, after = (list(dice.metrics().values())[1:] for dice in (as_it_is, cleaned))
    return Largest(tuple(label for label, (b, a) in enumerate(zip(before, after, strict=True), start=1) if a > b))
