"""How well images are told apart."""

from __future__ import annotations

import torch
from torch import Tensor


def classification_metrics(predicted: Tensor, labels: Tensor, classes: int) -> dict[str, float]:
    """accuracy, balanced_accuracy (mean recall of the classes that occur) and errors; both tensors (N,), int64."""
    correct = predicted == labels
    count = torch.bincount(labels, minlength=classes)
    hits = torch.bincount(labels[correct], minlength=classes)
    recall = hits[count > 0].double() / count[count > 0]
    errors = int((~correct).sum())
    return {"accuracy": 1 - errors / len(labels), "balanced_accuracy": float(recall.mean()), "errors": float(errors)}
