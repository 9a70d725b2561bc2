"""The training losses of segmentation, by the names that a study gives them (AutoMONAI, Table 3.4)."""

from __future__ import annotations

import math
from typing import Any

from monai.losses.dice import DiceCELoss, DiceLoss, GeneralizedDiceLoss
from monai.losses.focal_loss import FocalLoss
from monai.losses.hausdorff_loss import LogHausdorffDTLoss
from torch import Tensor, nn
from torch.nn import functional

HARDEST = 0.1
"""Share of a batch's voxels that the TopK term counts, as in nnU-Net."""


def criterion(name: str) -> nn.Module:
    """A loss of logits (N, K, *S) and labels (N, 1, *S); the Dice terms pool a batch and leave the background out.

    Pooling keeps slices without a class from counting as much as those that show it. The sums' terms weigh the same.
    """
    options: dict[str, Any] = {"include_background": False, "to_onehot_y": True, "softmax": True, "batch": True}
    match name:
        case "Dice":
            return _module(DiceLoss(**options))
        case "DiceCE":
            return _module(DiceCELoss(**options))
        case "GeneralizedDice":
            return _module(GeneralizedDiceLoss(**options))
        case "DiceFocal":  # MONAI's own sum has a sigmoid of each class in its focal term
            return Sum(DiceLoss(**options), FocalLoss(to_onehot_y=True, use_softmax=True))
        case "DiceTopK":
            return Sum(DiceLoss(**options), TopKLoss())
        case "DiceHausdorff":  # the logarithm, since squared distances in voxels would drown the Dice term
            return Sum(DiceLoss(**options), LogHausdorffDTLoss(**options))
    raise ValueError(f"no loss {name!r}")


class Sum(nn.Module):
    """Two losses of the same logits and labels, added."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        total: Tensor = self.first(logits, labels) + self.second(logits, labels)
        return total


class TopKLoss(nn.Module):
    """The mean cross-entropy of the voxels of a batch where it is greatest, a share of ``HARDEST``."""

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses = functional.cross_entropy(logits, labels[:, 0], reduction="none").flatten()
        return losses.topk(math.ceil(HARDEST * len(losses)), sorted=False).values.mean()


def _module(loss: nn.Module) -> nn.Module:
    """MONAI is untyped."""
    return loss
