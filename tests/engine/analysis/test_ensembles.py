"""Ensembles from stored predictions, where the best selection is known."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest

from hpo_engine.analysis.ensembles import Ensemble, dice_loss, error_rate, greedy_selection, log_loss, top_k
from hpo_engine.parameters import FloatArray, IntArray

LABELS = np.array([0, 1, 2, 0, 1, 2])


def library(models: int, cases: int, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Models that lean to the truth, each with mistakes of its own."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(3, size=cases)
    scores = generator.normal(size=(models, cases, 3)) * 1.5 + 1.2 * np.eye(3)[labels]
    exp = np.exp(scores)
    return exp / exp.sum(axis=2, keepdims=True), labels


def test_top_k_takes_the_best_in_order() -> None:
    predictions, labels = library(12, 40)
    loss = log_loss(labels)
    ranked = sorted(range(12), key=lambda i: loss(predictions[i]))
    ensemble = top_k(predictions, loss, 4)
    assert ensemble.members == tuple(sorted(ranked[:4]))
    assert ensemble.loss == pytest.approx(loss(predictions[ranked[:4]].mean(axis=0)))
    assert top_k(predictions, loss, 99).members == tuple(range(12))
    assert top_k(predictions, loss, 2, losses=list(range(12, 0, -1))).members == (10, 11)


def test_greedy_matches_the_definition() -> None:
    """Re-made without running sums: in each round the addition whose average is best, then the best round of all."""
    predictions, labels = library(6, 30)
    loss = log_loss(labels)
    chosen = [min(range(6), key=lambda i: loss(predictions[i]))]
    best = (loss(predictions[chosen[0]]), list(chosen))
    for _ in range(12):
        chosen.append(min(range(6), key=lambda i: loss(predictions[[*chosen, i]].mean(axis=0))))
        best = min(best, (loss(predictions[chosen].mean(axis=0)), list(chosen)), key=lambda b: b[0])
    ensemble = greedy_selection(predictions, loss, rounds=12)
    assert ensemble.weights == tuple(np.bincount(best[1], minlength=6))
    assert ensemble.loss == pytest.approx(best[0])


def test_greedy_is_near_the_best_of_all_small_ensembles() -> None:
    predictions, labels = library(5, 25, seed=3)
    loss = log_loss(labels)
    everything = min(
        loss(predictions[list(c)].mean(axis=0))
        for size in range(1, 7)
        for c in combinations_with_replacement(range(5), size)
    )
    assert greedy_selection(predictions, loss, rounds=30).loss <= everything * 1.02


def test_mistakes_that_differ_cancel() -> None:
    """Three models, each sure of two thirds of the cases and undecided the wrong way on the rest."""
    truth = np.eye(3)[LABELS]
    wrong = np.roll(truth, 1, axis=1)
    predictions = np.array(
        [np.where(np.arange(6)[:, None] % 3 == i, 0.4 * truth + 0.6 * wrong, truth) for i in range(3)]
    )
    loss = error_rate(LABELS)
    assert [loss(model) for model in predictions] == pytest.approx([1 / 3] * 3)
    assert top_k(predictions, loss, 3).loss == 0
    assert greedy_selection(predictions, loss, rounds=5).loss == 0


def test_a_useless_library_leaves_the_best_model() -> None:
    truth = np.eye(3)[LABELS] * 0.8 + 0.2 / 3
    predictions = np.array([np.roll(truth, 1, axis=1), truth, np.roll(truth, 2, axis=1)])
    ensemble = greedy_selection(predictions, log_loss(LABELS), rounds=10)
    assert ensemble.members == (1,)
    assert ensemble.loss == pytest.approx(log_loss(LABELS)(truth))


def test_masks() -> None:
    """Two cases of 2×3 voxels, two classes: models that find one half of the object each find all of it together."""
    labels = np.zeros((2, 2, 3), dtype=np.int64)
    labels[:, 0, :2] = 1
    halves = []
    for column in range(2):
        foreground = np.full((2, 2, 3), 0.1)
        foreground[:, 0, :2] = 0.45
        foreground[:, 0, column] = 0.9
        halves.append(np.stack([1 - foreground, foreground], axis=1))
    predictions = np.array(halves)
    loss = dice_loss(labels)
    assert [loss(model) for model in predictions] == pytest.approx([1 / 3, 1 / 3])
    assert top_k(predictions, loss, 2).loss == 0
    assert greedy_selection(predictions, loss, rounds=3).weights == (1, 1)
    assert log_loss(labels)(predictions.mean(axis=0)) == pytest.approx(-(2 * np.log(0.675) + 4 * np.log(0.9)) / 6)


def test_empty_masks_that_are_predicted_empty_are_perfect() -> None:
    nothing = np.stack([np.ones((1, 2, 2)), np.zeros((1, 2, 2))], axis=1)
    assert dice_loss(np.zeros((1, 2, 2), dtype=np.int64))(nothing) == 0


def test_nan_is_worse_than_every_number() -> None:
    predictions, labels = library(3, 10)
    predictions[1] = np.nan
    ensemble = greedy_selection(predictions, log_loss(labels), rounds=4)
    assert 1 not in ensemble.members
    assert np.isfinite(ensemble.loss)


def test_weights_apply_to_other_cases() -> None:
    predictions = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert Ensemble((3, 1), 0.0).average(predictions).tolist() == [[0.75, 0.25]]
    with pytest.raises(ValueError, match="expected those of 2 models, found 1"):
        Ensemble((3, 1), 0.0).average(predictions[:1])


def test_refusals() -> None:
    predictions, labels = library(2, 5)
    with pytest.raises(ValueError, match="expected at least one model"):
        top_k(predictions[:0], log_loss(labels))
    with pytest.raises(ValueError, match="k: expected at least 1, found 0"):
        top_k(predictions, log_loss(labels), 0)
    with pytest.raises(ValueError, match="rounds: expected at least 0"):
        greedy_selection(predictions, log_loss(labels), rounds=-1)
