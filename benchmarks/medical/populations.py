"""Two populations of one organ, as the adults and children of Bertrand's thesis (2019), chapter 3.

There a network that was trained on kidneys of adults is adapted to those of children, which are smaller and look
different in ultrasound. Here both are hippocampi of the Medical Segmentation Decathlon, at 1.5 mm, anterior and
posterior part taken together as one organ:

- the *source*: the 172 volumes of the largest group of scanners, as they are;
- the *target*: the 88 others, shrunk to 0.75 of their size in an unchanged frame, darkened by a power of 2 of their
  intensities (which no normalisation by mean and deviation takes back), with speckle of 0.2.

Both have the same folds, in Decathlon's layout: fold 0 is for choices, and 1 to 5 for results. The cases that validate
in different folds are different ones. A fold trains on 80 cases of the source and on 20 of the target.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hpo_trainer.seeding import derive
from medical.data import VOLUME, hippocampus, of_others

Volume = NDArray[np.float64]
Mask = NDArray[np.uint8]
SPACING = 1.5
"""Millimetres. Decathlon's voxels are of 1 mm."""
SHRINK, DARKENING, SPECKLE = 0.75, 2.0, 0.2
FOLDS, VALIDATION = 6, 14
SOURCE_TRAINING, TARGET_TRAINING = 80, 20
"""Cases of a fold, in either population."""
COPIES = SOURCE_TRAINING // TARGET_TRAINING
SOURCE, TARGET, JOINT = "hippocampus-source", "hippocampus-target", "hippocampus-joint"


@dataclass(frozen=True)
class Fold:
    train: tuple[str, ...]
    validation: tuple[str, ...]


def make() -> None:
    """``SOURCE``, ``TARGET`` and ``JOINT`` in the data volume, unless they are there."""
    if not (VOLUME / JOINT).exists():
        names = {SOURCE: _cases(source=True), TARGET: _cases(source=False)}
        folds = {
            SOURCE: draw(names[SOURCE], SOURCE_TRAINING),
            TARGET: draw(names[TARGET], TARGET_TRAINING),
        }
        for name in (SOURCE, TARGET):
            shutil.rmtree(VOLUME / name, ignore_errors=True)
            for case in names[name]:
                _write(VOLUME / name, case, *_changed(case, target=name == TARGET))
            describe(VOLUME / name, names[name], folds[name])
        join(folds[SOURCE], folds[TARGET])


def draw(cases: Sequence[str], training: int) -> list[Fold]:
    """Folds whose validation cases are disjoint; of the other cases ``training`` train."""
    shuffled = sorted(cases, key=lambda case: derive(0, "fold", case))
    folds = []
    for i in range(FOLDS):
        judged = shuffled[i * VALIDATION : (i + 1) * VALIDATION]
        rest = sorted(set(cases) - set(judged), key=lambda case: derive(i, "training", case))
        folds.append(Fold(tuple(sorted(rest[:training])), tuple(sorted(judged))))
    return folds


def join(source: Sequence[Fold], target: Sequence[Fold]) -> None:
    """Both populations in one data set, each target case as often as makes them equally many.

    The thesis' joint training, in which each child is drawn several times an epoch. Copies are more names of the files.
    """
    draft = VOLUME / f"{JOINT}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    cases = {case: (SOURCE, case) for fold in source for case in (*fold.train, *fold.validation)}
    folds = []
    for old, new in zip(source, target, strict=True):
        repeated = {
            f"{case}_{i}": (TARGET, case) for case in new.train for i in range(SOURCE_TRAINING // TARGET_TRAINING)
        }
        cases |= repeated
        folds.append(Fold((*old.train, *repeated), old.validation))
    for name, (population, case) in cases.items():
        for kind in ("imagesTr", "labelsTr"):
            (draft / kind).mkdir(parents=True, exist_ok=True)
            os.link(VOLUME / population / kind / f"{case}.nii.gz", draft / kind / f"{name}.nii.gz")
    describe(draft, list(cases), folds)
    draft.rename(VOLUME / JOINT)


def describe(folder: Path, cases: Sequence[str], folds: Sequence[Fold]) -> None:
    """dataset.json and splits_final.json."""
    pairs = [{"image": f"imagesTr/{case}.nii.gz", "label": f"labelsTr/{case}.nii.gz"} for case in cases]
    labels = {"0": "background", "1": "hippocampus"}
    document: Mapping[str, Any] = {"modality": {"0": "MRI"}, "labels": labels, "training": pairs}
    (folder / "dataset.json").write_text(json.dumps(document))
    splits = [{"train": list(fold.train), "val": list(fold.validation)} for fold in folds]
    (folder / "splits_final.json").write_text(json.dumps(splits))


def _cases(*, source: bool) -> list[str]:
    """By the brightness of their scanners: the 99th percentile is around 950 in the source's."""
    rows = of_others("hippocampus/case_table.csv").read_text().splitlines()
    place = rows[0].split(",").index("p99")
    return [row.split(",")[0] for row in rows[1:] if (300 < float(row.split(",")[place]) < 5000) == source]


def _changed(case: str, *, target: bool) -> tuple[Volume, Mask]:
    folder = hippocampus()
    reader: Any = nibabel.load
    image = np.asarray(reader(folder / "imagesTr" / f"{case}.nii.gz").dataobj, dtype=np.float64)
    mask = np.asarray(reader(folder / "labelsTr" / f"{case}.nii.gz").dataobj) > 0
    if target:
        image = _darkened(resized(image, SHRINK, image.shape), case)
        mask = resized(mask.astype(np.float64), SHRINK, mask.shape, mode="constant") > 0.5
    size = tuple(round(n / SPACING) for n in mask.shape)
    smooth = ndimage.gaussian_filter(image, SPACING / 3)  # against aliasing
    organ = resized(mask.astype(np.float64), 1 / SPACING, size, mode="constant") > 0.5
    return resized(smooth, 1 / SPACING, size), organ.astype(np.uint8)


def resized(
    volume: Volume, scale: float, size: Sequence[int], mode: Literal["reflect", "constant"] = "reflect"
) -> Volume:
    """``volume`` scaled about its centre, in a frame of ``size`` voxels; linear between voxels."""
    centres = [((old - 1) / 2, (new - 1) / 2) for old, new in zip(volume.shape, size, strict=True)]
    offset = [old - new / scale for old, new in centres]
    moved: Volume = ndimage.affine_transform(volume, [1 / scale] * volume.ndim, offset, tuple(size), order=1, mode=mode)
    return moved


def _darkened(image: Volume, case: str) -> Volume:
    low, high = np.percentile(image, [0.5, 99.5])
    noise = np.random.default_rng(derive(0, "speckle", case)).normal(1, SPECKLE, image.shape)
    dark: Volume = np.clip((image - low) / (high - low), 0, 1) ** DARKENING * noise
    return dark


def _write(folder: Path, case: str, image: Volume, mask: Mask) -> None:
    writer: Any = nibabel
    affine = np.diag([SPACING, SPACING, SPACING, 1])
    for kind, voxels in (("imagesTr", image.astype(np.float32)), ("labelsTr", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        writer.save(writer.Nifti1Image(voxels, affine), folder / kind / f"{case}.nii.gz")
