"""The figures of a model on one side of the data, with intervals, and its rows for a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hpo_trainer.evaluation.bootstrap import DRAWS, Figure, Rows, Statistics, intervals
from hpo_trainer.evaluation.classification import classification_metrics, confusion_matrix
from hpo_trainer.evaluation.segmentation import dice_names, dice_of_classes
from hpo_trainer.evaluation.surface import surface_metrics
from hpo_trainer.final.largest import Largest
from hpo_trainer.final.sides import Case, Cases, Images, Mask, Probabilities

TOLERANCE = 1.0
"""Millimetres by which an outline may be off and still count as right in the surface Dice."""
Row = dict[str, str | float]


@dataclass(frozen=True)
class Judgement:
    """What one model makes of one side. ``rows``: one for each image or case; ``groups``: the patient or case of each.

    ``statistics``: the figures of a sample of rows. ``confusion``: (K, K), images of class i that were taken for class
    j; None for a segmentation.
    """

    rows: Sequence[Row]
    groups: Sequence[str]
    statistics: Statistics
    confusion: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Judged:
    """One side, with the figures of each model (``single``, perhaps ``ensemble`` and ``retrained``), and of each but
    the first what it changes: ``ensemble - single``."""

    models: Mapping[str, Judgement]
    figures: Mapping[str, Mapping[str, Figure]]

    @property
    def units(self) -> int:
        """How many patients or cases there are."""
        return len(set(self.models["single"].groups))

    @property
    def counted(self) -> str:
        """What the units are: ``1800 images``."""
        alone = "patient" if self.is_by_patient else "image"
        noun = "case" if "case" in self.models["single"].rows[0] else alone
        return f"{self.units} {noun}{'s' if self.units > 1 else ''}"

    @property
    def is_by_patient(self) -> bool:
        """Whether anyone told which images are of one patient."""
        judgement = self.models["single"]
        return any(row.get("image") != group for row, group in zip(judgement.rows, judgement.groups, strict=True))


def judged(models: Mapping[str, Judgement], draws: int = DRAWS) -> Judged:
    """All models on the same draws, so that a difference of two is that on the very same patients."""

    def statistics(rows: Rows) -> dict[str, float]:
        found = {name: judgement.statistics(rows) for name, judgement in models.items()}
        single = found["single"]
        for other in [name for name in models if name != "single"]:
            found[f"{other} - single"] = {name: value - single[name] for name, value in found[other].items()}
        return {f"{model}/{name}": value for model, figures in found.items() for name, value in figures.items()}

    figures: dict[str, dict[str, Figure]] = {}
    for key, figure in intervals(statistics, models["single"].groups, draws).items():
        model, _, name = key.partition("/")
        figures.setdefault(model, {})[name] = figure
    return Judged(models, figures)


def judge_images(side: Images, scores: Probabilities, classes: Sequence[str]) -> Judgement:
    """``scores``: (M, K)."""
    truth, given = torch.from_numpy(side.labels), torch.from_numpy(scores.astype(np.float64))

    def statistics(rows: Rows) -> Mapping[str, float]:
        chosen = torch.from_numpy(rows)
        found = classification_metrics(given[chosen], truth[chosen], classes)
        certainty = given[chosen, truth[chosen]].clamp(min=1e-12)
        return found | {"log_loss": float(-certainty.log().mean())}

    predicted = scores.argmax(1)
    rows: list[Row] = []
    for name, group, label, guess, score in zip(side.names, side.groups, side.labels, predicted, scores, strict=True):
        row: Row = {"image": name, "patient": group, "truth": classes[label], "predicted": classes[guess]}
        rows.append(row | {f"p_{c}": float(p) for c, p in zip(classes, score, strict=True)})
    confusion = confusion_matrix(torch.from_numpy(predicted), truth, len(classes)).numpy()
    return Judgement(rows, side.groups, statistics, confusion)


def judge_cases(
    side: Cases, parts: Iterable[Probabilities], classes: Sequence[str], largest: Largest, tolerance: float
) -> Judgement:
    """``parts``: of each case (N, K, *S). Figures are means over the cases, and the median of the mean Dice."""
    names, rows = dice_names(classes), []
    for case, part in zip(side.cases, parts, strict=True):
        rows.append(_row(case, largest.masks(case, part), classes, tolerance))
    table = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0] if name != "case"}

    def statistics(chosen: Rows) -> dict[str, float]:
        means = {name: _mean(column[chosen]) for name, column in table.items()}
        dice = np.stack([table[name][chosen] for name in names])
        overall = {"dice": _mean(np.array([means[name] for name in names])), "dice_median": _median(dice)}
        return overall | means

    return Judgement(rows, side.names, statistics)


def _row(case: Case, masks: Sequence[Mask], classes: Sequence[str], tolerance: float) -> Row:
    """Dice of the case's voxels pooled, as in training; distances of each item, and their mean over the items."""
    items = case.items()
    row: Row = {"case": case.name}
    predicted, truth = (np.concatenate([mask.ravel() for mask in of]) for of in (masks, [i.mask for i in items]))
    dice = dice_of_classes(torch.from_numpy(predicted), torch.from_numpy(truth), len(classes))
    row |= dict(zip(dice_names(classes), dice.tolist(), strict=True))
    for label, name in enumerate(dice_names(classes), start=1):
        structure = name.removeprefix("dice_")
        found = np.array(
            [
                surface_metrics(mask == label, item.mask == label, item.spacing, tolerance)
                for mask, item in zip(masks, items, strict=True)
            ]
        )
        row |= {f"hausdorff95_{structure}": _mean(found[:, 0]), f"surface_dice_{structure}": _mean(found[:, 1])}
    return row


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _median(dice: NDArray[np.float64]) -> float:
    """Of the cases' mean Dice over the classes that they show; ``dice``: (K - 1, cases)."""
    shown = ~np.isnan(dice)
    means = np.where(shown, dice, 0).sum(0)[shown.any(0)] / shown.sum(0)[shown.any(0)]
    return float(np.median(means)) if means.size else float("nan")
