"""Which pictures a final model gets, of which images; none where matplotlib is not installed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from hpo_trainer.evaluation.segmentation import dice_of_classes
from hpo_trainer.final.average import Average
from hpo_trainer.final.largest import Largest
from hpo_trainer.final.model import Model
from hpo_trainer.final.report import Report
from hpo_trainer.final.request import Request
from hpo_trainer.final.sides import Cases, Images, Item, Mask, Side

SHOWN = 6


def draw(
    request: Request,
    models: Mapping[str, Model],
    report: Report,
    side: Side,
    averages: Mapping[str, Average],
    kept: Mapping[str, Largest],
    folder: Path,
) -> list[str]:
    """Pictures of the validation images and of the figures; the names of the files in ``folder/pictures``.

    Not of test images: whoever looks at them has looked at them.
    """
    if find_spec("matplotlib") is None:
        return []
    from hpo_trainer.final import pictures

    out = folder / "pictures"
    out.mkdir()
    best = models[report.choice.single]
    metric = request.study["spec"]["objective"]["metric"]
    pictures.learning_curves({t: m.history for t, m in models.items()}, metric, out / "learning_curves.png")
    drawn = []
    if isinstance(side, Images):
        scores = next(averages["single"].parts())
        pictures.image_montage(side, scores, best.classes, out / "validation_images.png")
        judged = {"validation": report.validation} | ({"test": report.test.judged} if report.test else {})
        for name, of in judged.items():
            confusion = of.models["single"].confusion
            assert confusion is not None
            title = f"best trial, {name} images"
            pictures.confusion_matrix(confusion, best.classes, title, out / f"{name}_confusion.png")
            drawn.append(f"{name}_confusion.png")
        return [*reversed(drawn), "validation_images.png"]
    items = _items(side, averages["single"], kept["single"], best.classes)
    title = "Validation images from worst to best: predicted (filled) and true (outlined), best trial"
    pictures.mask_montage(items, best.classes, title, out / "validation_images.png")
    return ["validation_images.png"]


def _items(side: Cases, average: Average, kept: Largest, classes: Sequence[str]) -> list[tuple[str, float, Item, Mask]]:
    """Images or volumes that show anything, at even distances from the worst to the best by mean Dice."""
    ranked = []
    for case, part in zip(side.cases, average.parts(), strict=True):
        for name, item, mask in zip(case.item_names(), case.items(), kept.masks(case, part), strict=True):
            dice = dice_of_classes(torch.from_numpy(mask), torch.from_numpy(item.mask), len(classes)).nanmean()
            if not math.isnan(dice):
                ranked.append((name, float(dice), item, mask))
    ranked.sort(key=lambda shown: shown[1])
    places = np.unique(np.linspace(0, len(ranked) - 1, min(SHOWN, len(ranked))).round().astype(int))
    return [ranked[int(place)] for place in places]
