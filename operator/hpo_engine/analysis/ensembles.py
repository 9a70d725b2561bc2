"""Many good models instead of the best one, from predictions that were stored; nothing is trained here.

Predictions are probabilities with one row for each model: (N, M, C) for M cases and C classes, or (N, M, C, *shape)
for masks, where every voxel has C probabilities. An ensemble averages its members' probabilities.

top_k               the k best models by their own loss: k = 10 in the ISBI 2017 paper on field-of-view classification,
                    section 2.4.
greedy_selection    forward selection with replacement: add, again and again, whichever model makes the ensemble best; a
                    model added twice weighs twice (Caruana et al. 2004, "Ensemble selection from libraries of models",
                    sections 2 and 2.1).

Selection fits the cases that it sees. Judge the ensemble on others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hpo_engine.parameters import FloatArray, IntArray

Loss = Callable[[FloatArray], float]
"""What to minimise, of one set of probabilities (M, C, ...): a function that knows the cases' labels."""

SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Ensemble:
    """``weights`` (N,): how often each model is in it; ``loss`` of the average on the cases it was selected on."""

    weights: tuple[int, ...]
    loss: float

    @property
    def members(self) -> tuple[int, ...]:
        """Rows of the models that take part, ascending."""
        return tuple(i for i, weight in enumerate(self.weights) if weight)

    def average(self, predictions: FloatArray) -> FloatArray:
        """The ensemble's probabilities (M, C, ...) from those of the same N models (N, M, C, ...) on any cases."""
        if len(predictions) != len(self.weights):
            raise ValueError(f"predictions: expected those of {len(self.weights)} models, found {len(predictions)}")
        members = list(self.members)  # the others may hold NaN, which a weight of 0 would not take away
        weights = np.asarray(self.weights, dtype=np.float64)[members]
        return np.tensordot(weights / weights.sum(), predictions[members], axes=1)


def top_k(predictions: FloatArray, loss: Loss, k: int = 10, losses: Sequence[float] | None = None) -> Ensemble:
    """The ``k`` best models, or all if there are fewer, each with weight 1; equally good ones in their order.

    ``losses`` (N,): what the models are ranked by, if not by ``loss`` of their own predictions.

    Raises:
        ValueError: no predictions, or k < 1.
    """
    _check(predictions, k, "k")
    ranked = np.argsort(_alone(predictions, loss) if losses is None else np.asarray(losses), kind="stable")
    return _ensemble(predictions, loss, ranked[:k])


def greedy_selection(predictions: FloatArray, loss: Loss, rounds: int = 50, start: int = 1) -> Ensemble:
    """The best of the ensembles met in ``rounds`` additions with replacement, from the ``start`` best models on.

    Its loss is never above that of the initial ensemble. Equally good additions go to the lower row. A loss of NaN is
    worse than every number. Costs one ``loss`` for each model and round.

    Raises:
        ValueError: no predictions, rounds < 0 or start < 1.
    """
    _check(predictions, start, "start")
    if rounds < 0:
        raise ValueError(f"rounds: expected at least 0, found {rounds}")
    chosen = list(np.argsort(_alone(predictions, loss), kind="stable")[:start])
    best = _ensemble(predictions, loss, np.array(chosen))
    total = np.sum(predictions[chosen], axis=0)
    for _ in range(rounds):
        candidates = [_number(loss((total + model) / (len(chosen) + 1))) for model in predictions]
        added = int(np.argmin(candidates))
        total = total + predictions[added]
        chosen.append(added)
        if candidates[added] < best.loss:
            best = _ensemble(predictions, loss, np.array(chosen))
    return best


def log_loss(labels: IntArray) -> Loss:
    """Mean negative log probability of the true class; ``labels`` (M, *shape) in 0..C-1."""

    def loss(probabilities: FloatArray) -> float:
        true = np.take_along_axis(probabilities, labels[:, None], axis=1)
        return float(-np.mean(np.log(np.maximum(true, SMALLEST_PROBABILITY))))

    return loss


def error_rate(labels: IntArray) -> Loss:
    """The share of cases (or voxels) whose most probable class is not the true one; ``labels`` as in log_loss."""
    return lambda probabilities: float(np.mean(np.argmax(probabilities, axis=1) != labels))


def dice_loss(labels: IntArray) -> Loss:
    """1 - Dice, averaged over the cases and the foreground classes 1..C-1 that a case shows or is predicted to show.

    Masks (M, C, *shape) against ``labels`` (M, *shape). A case that neither shows nor predicts any foreground counts
    as perfect.
    """

    def loss(probabilities: FloatArray) -> float:
        predicted = np.argmax(probabilities, axis=1)
        return float(1 - np.mean([_dice(p, t, probabilities.shape[1]) for p, t in zip(predicted, labels, strict=True)]))

    return loss


def _dice(predicted: IntArray, true: IntArray, classes: int) -> float:
    scores = []
    for c in range(1, classes):
        p, t = predicted == c, true == c
        if (size := int(p.sum() + t.sum())) > 0:
            scores.append(2 * int((p & t).sum()) / size)
    return float(np.mean(scores)) if scores else 1.0


def _alone(predictions: FloatArray, loss: Loss) -> FloatArray:
    return np.array([_number(loss(model)) for model in predictions])


def _ensemble(predictions: FloatArray, loss: Loss, chosen: IntArray) -> Ensemble:
    weights = tuple(np.bincount(chosen, minlength=len(predictions)).tolist())
    return Ensemble(weights, _number(loss(Ensemble(weights, np.nan).average(predictions))))


def _number(loss: float) -> float:
    return np.inf if np.isnan(loss) else loss


def _check(predictions: FloatArray, count: int, name: str) -> None:
    if len(predictions) == 0:
        raise ValueError("predictions: expected at least one model, found none")
    if count < 1:
        raise ValueError(f"{name}: expected at least 1, found {count}")
