"""Metrics of classification, each against its definition by hand or by brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from hpo_trainer.evaluation.classification import auc, classification_metrics, confusion_matrix, matthews, metric_names

NAMES = ("clear", "left lung", "right lung", "both")


def random_case(classes: int, seed: int, levels: int = 5) -> tuple[Tensor, Tensor]:
    """Scores (40, classes) of few distinct values, so that many tie, and labels of which each class has some."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (40, classes)) / levels
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 40 - classes)])
    return torch.from_numpy(scores), torch.from_numpy(labels)


def share_of_pairs_in_order(score: Tensor, positive: Tensor) -> float:
    pairs = list(itertools.product(score[positive].tolist(), score[~positive].tolist()))
    return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)


def test_shares_of_right_answers() -> None:
    """The last class does not occur: nobody can say how well it is recognised."""
    labels, predicted = torch.tensor([0, 0, 0, 1, 2, 2]), torch.tensor([0, 0, 1, 1, 0, 2])
    metrics = classification_metrics(torch.eye(4, dtype=torch.float64)[predicted], labels, NAMES)
    assert tuple(metrics) == metric_names(NAMES)
    assert metrics["errors"] == 2
    assert metrics["accuracy"] == pytest.approx(4 / 6)
    assert metrics["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    recalls = [metrics[f"recall_{name}"] for name in ("clear", "left_lung", "right_lung")]
    assert recalls == pytest.approx([2 / 3, 1, 1 / 2])
    assert math.isnan(metrics["recall_both"])


def test_confusion_matrix_has_the_truth_in_its_rows() -> None:
    confusion = confusion_matrix(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 0, 1, 1]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_matthews_of_two_classes_by_its_formula() -> None:
    for (tn, fp), (fn, tp) in [((90, 10), (5, 20)), ((1, 4), (3, 2)), ((7, 0), (0, 2))]:
        expected = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        assert matthews(torch.tensor([[tn, fp], [fn, tp]])) == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_matthews_is_the_correlation_of_the_indicators(classes: int) -> None:
    """Gorodkin's definition: the covariance of the N × K indicator matrices, summed over the classes."""
    scores, labels = random_case(classes, seed=classes)
    predicted = scores.argmax(1)
    x, y = (torch.eye(classes, dtype=torch.float64)[indices] for indices in (predicted, labels))
    x, y = x - x.mean(0), y - y.mean(0)
    expected = float((x * y).sum() / ((x * x).sum() * (y * y).sum()).sqrt())
    assert matthews(confusion_matrix(predicted, labels, classes)) == pytest.approx(expected)


def test_matthews_of_a_constant_answer_is_0() -> None:
    assert matthews(torch.tensor([[5, 0], [3, 0]])) == 0
    assert matthews(torch.tensor([[5, 0, 0], [0, 3, 0], [0, 0, 4]])) == 1


def test_matthews_of_a_million_images_does_not_overflow() -> None:
    assert matthews(torch.tensor([[400_000, 100_000], [100_000, 400_000]])) == pytest.approx(0.6)


@pytest.mark.parametrize("seed", range(5))
def test_auc_of_two_classes_is_the_share_of_pairs_in_order(seed: int) -> None:
    scores, labels = random_case(2, seed)
    assert auc(scores, labels) == pytest.approx(share_of_pairs_in_order(scores[:, 1], labels == 1))


def test_auc_of_more_classes_is_the_mean_of_one_against_the_rest() -> None:
    scores, labels = random_case(4, seed=1)
    expected = [share_of_pairs_in_order(scores[:, k], labels == k) for k in range(4)]
    assert auc(scores, labels) == pytest.approx(sum(expected) / 4)
    kept = labels != 2
    expected = [share_of_pairs_in_order(scores[kept, k], labels[kept] == k) for k in (0, 1, 3)]
    assert auc(scores[kept], labels[kept]) == pytest.approx(sum(expected) / 3)


def test_auc_of_one_class_alone_says_nothing() -> None:
    assert auc(torch.tensor([[0.1, 0.9], [0.4, 0.6]]), torch.tensor([1, 1])) == 0.5
