"""How well images are told apart.

N images, K classes; ``labels``: (N,), int64, from 0 to K - 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def metric_names(classes: Sequence[str]) -> tuple[str, ...]:
    """What ``classification_metrics`` returns."""
    return ("accuracy", "balanced_accuracy", "errors", "mcc", "auc", *_recall_names(classes))


def classification_metrics(scores: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """Metrics of the class with the greatest score, and of the scores' order (``auc``).

    ``scores``: (N, K), probabilities in double precision, since those of single precision end in ties at 1.
    ``balanced_accuracy`` is the mean of ``recall_<class>`` over the classes that occur; that of others is NaN.
    """
    confusion = confusion_matrix(scores.argmax(1), labels, len(classes))
    hits, count = confusion.diagonal(), confusion.sum(1)
    errors = int(count.sum() - hits.sum())
    recall = hits.double() / count  # 0/0 is NaN: the class is absent
    return {
        "accuracy": 1 - errors / len(labels),
        "balanced_accuracy": float(recall[count > 0].mean()),
        "errors": float(errors),
        "mcc": matthews(confusion),
        "auc": auc(scores, labels),
        **dict(zip(_recall_names(classes), recall.tolist(), strict=True)),
    }


def confusion_matrix(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """(K, K), int64: images of class i that were taken for class j; ``predicted``: (N,), int64."""
    return torch.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def matthews(confusion: Tensor) -> float:
    """Matthews' correlation coefficient, from -1 to 1; 0 if either side names one class only.

    For K classes it is that of J. Gorodkin, Comparing two K-category assignments by a K-category correlation
    coefficient (Computational Biology and Chemistry 28, 2004), eq. 8, which for two is that of Matthews (1975).
    """
    total = int(confusion.sum())
    truth, predicted = confusion.sum(1), confusion.sum(0)
    covariance = int(confusion.trace()) * total - int(truth @ predicted)
    variances = (total**2 - int(truth @ truth)) * (total**2 - int(predicted @ predicted))
    return covariance / math.sqrt(variances) if variances else 0.0


def auc(scores: Tensor, labels: Tensor) -> float:
    """Area under the receiver operating characteristic: of class 1 for K = 2, else the mean of one against the rest.

    ``scores``: (N, K). The mean is over the classes that occur; 0.5 where all images are of one class.
    """
    chosen = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    areas = [_area(scores[:, k], labels == k) for k in chosen if 0 < int((labels == k).sum()) < len(labels)]
    return sum(areas) / len(areas) if areas else 0.5


def _area(score: Tensor, positive: Tensor) -> float:
    """The probability that a positive scores higher than a negative, ties counted half (Mann and Whitney)."""
    _, place, count = torch.unique(score, return_inverse=True, return_counts=True)
    rank = (count.cumsum(0) - (count - 1) / 2)[place].double()  # from 1; of equal scores their mean rank
    positives = int(positive.sum())
    wins = float(rank[positive].sum()) - positives * (positives + 1) / 2
    return wins / (positives * (len(score) - positives))


def _recall_names(classes: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"recall_{'_'.join(name.split())}" for name in classes)
