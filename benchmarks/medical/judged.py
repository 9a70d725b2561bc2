"""Trained classifiers on the side of the data that no trial reads, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hpo_trainer.evaluation.bootstrap import Figure, intervals
from hpo_trainer.evaluation.classification import auc, confusion_matrix, matthews
from medical import trained

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Predicted:
    """``scores``: the probability of class 1 of each image, (N,); ``labels``: 0 or 1, (N,)."""

    scores: Scores
    labels: NDArray[np.int64]


def predictions(folder: Path) -> dict[str, Predicted]:
    """Of the validation and the test side, by the network whose checkpoint lies in ``folder``; two classes."""
    classifier = trained.classifier(folder)
    test = classifier.data.test(lambda: None)
    assert test is not None
    found = {}
    for name, side in (("validation", classifier.data.validation), ("test", test[1])):
        with torch.inference_mode():
            scores = classifier.logits(side.images, lambda: None).double().softmax(1)[:, 1]
        found[name] = Predicted(scores.numpy(), side.labels.numpy())
    return found


def averaged(members: Sequence[Predicted]) -> Predicted:
    return Predicted(np.mean([member.scores for member in members], axis=0), members[0].labels)


def best_threshold(validation: Predicted) -> float:
    """Halfway between two scores, where the balanced accuracy on the validation images is greatest; the first such."""
    values = np.unique(validation.scores)
    cuts = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2])
    positive = validation.labels == 1
    recall = (validation.scores[positive][None] > cuts[:, None]).mean(1)
    specificity = (validation.scores[~positive][None] <= cuts[:, None]).mean(1)
    return float(cuts[np.argmax(recall + specificity)])


def values(predicted: Predicted, threshold: float = 0.5) -> dict[str, float]:
    """auc, accuracy, balanced_accuracy and mcc, where a score above ``threshold`` says class 1."""
    scores, labels = torch.from_numpy(predicted.scores), torch.from_numpy(predicted.labels)
    confusion = confusion_matrix((scores > threshold).long(), labels, 2)
    recalls = confusion.diagonal() / confusion.sum(1)
    return {
        "auc": auc(torch.stack([1 - scores, scores], dim=1), labels),
        "accuracy": float(confusion.trace() / confusion.sum()),
        "balanced_accuracy": float(recalls.mean()),
        "mcc": matthews(confusion),
    }


def figures(predicted: Predicted, threshold: float = 0.5) -> dict[str, Figure]:
    """``values`` with bootstrap intervals over the images, whose patients nobody tells."""

    def statistics(rows: NDArray[np.intp]) -> dict[str, float]:
        return values(Predicted(predicted.scores[rows], predicted.labels[rows]), threshold)

    return intervals(statistics, [str(i) for i in range(len(predicted.labels))])
