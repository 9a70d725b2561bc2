"""What is known of a data set before anything is trained on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HOUNSFIELD = -500.0
"""Values below it occur in CT alone: air has -1000 Hounsfield units."""


@dataclass(frozen=True)
class Fingerprint:
    """``kind``: classification or segmentation. ``size``: median pixels along each axis; ``largest``: the greatest.

    ``spacing``: median millimetres along each axis, () where files do not tell. ``classes``: the images that are of
    each class or show it, the background of masks apart. ``sides``: items on each side of the split that a study with
    default settings sees. ``low``: the least value of all. ``warnings``: problems that the check found.
    """

    kind: str
    items: int
    size: tuple[int, ...]
    largest: tuple[int, ...]
    spacing: tuple[float, ...]
    classes: Mapping[str, int]
    sides: Mapping[str, int]
    folds: int
    low: float
    warnings: tuple[str, ...]

    @property
    def voxels(self) -> int:
        """Of an image as large as the largest along each axis."""
        return math.prod(self.largest)

    @property
    def training(self) -> int:
        return max(1, self.sides.get("train", self.items))

    @property
    def hounsfield(self) -> bool:
        return self.low < HOUNSFIELD

    @property
    def imbalance(self) -> float:
        """Of the commonest class to the rarest."""
        return max(self.classes.values()) / max(1, min(self.classes.values()))


def fingerprint(report: Mapping[str, Any]) -> Fingerprint:
    """Of ``hpo data check --json``."""
    shown = report["classes"][1:] if report["task"] == "segmentation" else report["classes"]
    splits = {name for c in report["classes"] for name in c["sides"]}
    folds = [name for name in splits if name.startswith("fold ")]
    first = "fold 0" if folds else next(iter(splits), "")
    return Fingerprint(
        kind=report["task"],
        items=report["items"],
        size=tuple(round(of[1]) for of in report["sizes"]),
        largest=tuple(round(of[2]) for of in report["sizes"]),
        spacing=tuple(of[1] for of in report["spacings"]),
        classes={c["name"]: c["items"] for c in shown},
        sides=_sides(report["classes"], first, report["task"]),
        folds=len(folds),
        low=report["values"][0] if report["values"] else 0.0,
        warnings=(*report["problems"], *report["unreadable"]),
    )


def _sides(classes: list[dict[str, Any]], split: str, task: str) -> dict[str, int]:
    """Items on each side: all classes together, or of the background, which every mask shows."""
    counted = classes[:1] if task == "segmentation" else classes
    sides: dict[str, int] = {}
    for c in counted:
        for side, count in c["sides"].get(split, {}).items():
            sides[side] = sides.get(side, 0) + count
    return sides
