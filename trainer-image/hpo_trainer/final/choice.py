"""Which candidates make the final model, from the probabilities that they gave the validation images.

The best trial alone, the mean of the k best, or greedy selection with replacement (Caruana et al. 2004). Selection fits
the images that it sees, so the three are compared on others: patients are dealt into folds, each method chooses on all
folds but one, and its choice is judged on that one. The winner then chooses anew from all images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from hpo_engine.analysis.ensembles import Ensemble, Loss, greedy_selection, log_loss, top_k
from hpo_engine.parameters import FloatArray, IntArray
from hpo_trainer.final.request import Choice

FOLDS, FEWEST_UNITS = 5, 3
SIZES = (2, 3, 5, 10)
ROUNDS = 20
SINGLE = "the best trial alone"


@dataclass(frozen=True)
class Library:
    """Probabilities of N models on R images or voxels: (N, R, K); their classes and patients or cases, (R,)."""

    predictions: FloatArray
    labels: IntArray
    units: IntArray
    segments: bool

    def rows(self, chosen: IntArray) -> Library:
        return Library(self.predictions[:, chosen], self.labels[chosen], self.units[chosen], self.segments)

    def loss(self) -> Loss:
        """1 - Dice as the trials measure it; of images the log loss, which is steadier than their few errors."""
        if not self.segments:
            return log_loss(self.labels)
        return dice_loss_of_cases(self.labels, self.units, self.predictions.shape[2])

    @property
    def loss_name(self) -> str:
        return "1 - Dice" if self.segments else "log loss"


def read_library(folder: Path, trials: Sequence[str]) -> Library:
    """What ``hpo_trainer.final.predict`` wrote. A voxel that every model and the truth call background is left out.

    That is exact: wherever each model gives the background more than half, so does every mean of them.
    """
    with np.load(folder / "truth.npz", allow_pickle=False) as truth:
        parts = range(len(truth.files) // 2)
        labels, units = ([truth[f"{letter}{i}"] for i in parts] for letter in "tu")
    loaded = [np.load(folder / f"{trial}.npz", allow_pickle=False) for trial in trials]
    segments, kept = loaded[0]["p0"].dtype == np.uint8, []
    for i in parts:
        part = np.stack([archive[f"p{i}"] for archive in loaded])
        if segments:
            matters = (part[:, :, 0] <= 127).any(axis=0) | (labels[i] > 0)
            part, labels[i], units[i] = part[:, matters] / np.float32(255), labels[i][matters], units[i][matters]
        kept.append(part)
    for archive in loaded:
        archive.close()
    return Library(np.concatenate(kept, axis=1), _integers(labels), _integers(units), bool(segments))


def _integers(parts: Sequence[Any]) -> IntArray:
    return np.concatenate(parts).astype(np.int64)


def dice_loss_of_cases(labels: IntArray, units: IntArray, classes: int) -> Loss:
    """1 - the mean over the foreground classes of the mean over the cases; a case without a class does not count."""
    _, case = np.unique(units, return_inverse=True)
    cases = int(case.max(initial=-1)) + 1

    def loss(probabilities: FloatArray) -> float:
        pairs = (case * classes + np.argmax(probabilities, axis=1)) * classes + labels
        confusion = np.bincount(pairs, minlength=cases * classes**2).reshape(cases, classes, classes)
        overlap = np.diagonal(confusion, axis1=1, axis2=2)[:, 1:].astype(np.float64)
        total = (confusion.sum(1) + confusion.sum(2))[:, 1:]
        shown = total > 0
        dice = np.where(shown, 2 * overlap / np.maximum(total, 1), 0.0).sum(0) / np.maximum(shown.sum(0), 1)
        return float(1 - dice[shown.any(0)].mean()) if shown.any() else 0.0

    return loss


Method = Callable[[Library], Ensemble]


def methods(models: int) -> dict[str, Method]:
    """By name, from the simplest. The models stand in the order of the study's objective."""

    def best(k: int) -> Method:
        return lambda library: top_k(library.predictions, library.loss(), k, losses=range(models))

    named = {SINGLE: best(1)} | {f"the mean of the {k} best": best(k) for k in SIZES if k <= models}
    if models > 1:
        named["greedy selection"] = lambda library: greedy_selection(library.predictions, library.loss(), ROUNDS)
    return named


def choose(library: Library, trials: Sequence[str]) -> Choice:
    """Of equally good methods the simpler one. On one thread: sums have the same bytes on every machine.

    Of fewer patients than ``FEWEST_UNITS`` nothing can be set aside: then greedy selection, which would only fit them,
    is no choice, and the others, which fit nothing, are compared on all.
    """
    named, few = methods(len(trials)), len(np.unique(library.units)) < FEWEST_UNITS
    if few:
        named.pop("greedy selection", None)
    with threadpool_limits(limits=1, user_api="blas"):
        considered = {
            name: method(library).loss if few else cross_validated(library, method) for name, method in named.items()
        }
        chosen = min(considered, key=lambda name: considered[name])
        ensemble = named[chosen](library)
    return Choice(
        single=trials[0],
        members={trials[i]: ensemble.weights[i] for i in ensemble.members},
        method=chosen,
        loss=library.loss_name
        + (", on the images that it was chosen on" if few else ", on patients or cases held out"),
        considered=considered,
    )


def cross_validated(library: Library, method: Method) -> float:
    """Mean loss of what ``method`` chooses without a fold, on that fold, each patient or case counting alike."""
    _, unit = np.unique(library.units, return_inverse=True)
    count = int(unit.max()) + 1
    fold_of = np.random.default_rng(0).permutation(count) % min(FOLDS, count)
    total = 0.0
    for fold in np.unique(fold_of):
        aside = fold_of[unit] == fold
        ensemble, judged = method(library.rows(np.flatnonzero(~aside))), library.rows(np.flatnonzero(aside))
        total += judged.loss()(ensemble.average(judged.predictions)) * int((fold_of == fold).sum())
    return total / count
