"""How well structures are outlined."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def dice_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Names of the metrics of the foreground classes: ``dice_<class>``, with _ for spaces."""
    return tuple(f"dice_{'_'.join(name.split())}" for name in classes[1:])


def dice_of_classes(predicted: Tensor, truth: Tensor, classes: int) -> Tensor:
    """2|A∩B| / (|A|+|B|) of each foreground class, (classes - 1,); NaN where neither tensor shows the class."""
    pairs = predicted.flatten().long() * classes + truth.flatten().long()
    confusion = torch.bincount(pairs, minlength=classes**2).reshape(classes, classes).double()
    return (2 * confusion.diagonal() / (confusion.sum(0) + confusion.sum(1)))[1:].cpu()


class DiceByCase:
    """The Dice coefficient 2|A∩B| / (|A|+|B|) of every foreground class, its voxels pooled over a case.

    A case is a volume, or a group of slices. A case that holds no voxel of a class, predicted or true, says nothing of
    that class and is left out of its mean (as in nnU-Net's evaluation); ``dice`` is the mean over the classes.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._names = dice_names(classes)
        self._cases: list[Tensor] = []

    def add(self, predicted: Tensor, truth: Tensor) -> None:
        """All voxels of one case: two integer tensors of the same shape."""
        self._cases.append(dice_of_classes(predicted, truth, len(self._names) + 1))

    def metrics(self) -> dict[str, float]:
        """``dice`` and ``dice_<class>``; every class must occur in some case."""
        by_class = torch.stack(self._cases).nanmean(dim=0)
        return {"dice": float(by_class.mean()), **dict(zip(self._names, by_class.tolist(), strict=True))}
