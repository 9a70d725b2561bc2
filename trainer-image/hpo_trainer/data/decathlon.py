"""The Medical Segmentation Decathlon's folder layout: dataset.json, and nnU-Net's splits_final.json beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpo_trainer.data import nifti
from hpo_trainer.data.files import Image, inside, is_file, read_json
from hpo_trainer.failures import BadData

DESCRIPTION_FILE, SPLITS_FILE = "dataset.json", "splits_final.json"


@dataclass(frozen=True)
class Case:
    """A volume and its labels; ``name`` is the image's file name without .nii.gz."""

    name: str
    image: Path
    label: Path

    def read(self) -> tuple[Image, Image]:
        """Image (C, X, Y, Z), of files whose channels come last or not at all, and labels (X, Y, Z).

        Raises BadData, also where the two lie in different places.
        """
        image, label = nifti.read(self.image), nifti.read(self.label)
        if image.voxels.shape[:3] == label.voxels.shape:  # another shape is refused by whoever checks the labels
            nifti.check_same_space(image, label)
        voxels = image.voxels
        channels = voxels[None] if voxels.ndim == 3 else np.ascontiguousarray(np.moveaxis(voxels, 3, 0))
        return channels, label.voxels


@dataclass(frozen=True)
class Description:
    """``folds``: names of the training and the validation cases of each fold; empty without splits_final.json.

    ``missing``: what to raise for each file that is listed and not there.
    """

    cases: tuple[Case, ...]
    classes: tuple[str, ...]
    channels: int
    folds: tuple[tuple[list[str], list[str]], ...]
    missing: tuple[BadData, ...]


def read(folder: Path) -> Description:
    """What ``folder`` holds for training; its test cases are never looked at. Raises BadData.

    Files that are missing are told, not refused: whoever trains on them does that.
    """
    path = folder / DESCRIPTION_FILE
    document = read_json(path)
    pairs = document.get("training") if isinstance(document, dict) else None
    if not isinstance(pairs, list) or not pairs:
        raise BadData(path, "expected a list of image and label pairs under training")
    cases = [_case(folder, pair, f"{path}: training[{i}]") for i, pair in enumerate(pairs)]
    missing = [
        BadData(file, f"no such file; it is listed in {path}: training[{i}]: restore it, or remove the pair there")
        for i, case in enumerate(cases)
        for file in (case.image, case.label)
        if not is_file(file)
    ]
    names = [case.name for case in cases]
    for name in names:
        if names.count(name) > 1:
            raise BadData(path, f"case {name!r} is listed twice")
    modalities = document.get("modality")
    return Description(
        tuple(sorted(cases, key=lambda case: case.name)),
        _classes(document.get("labels"), path),
        max(1, len(modalities)) if isinstance(modalities, dict) else 1,
        _folds(folder / SPLITS_FILE),
        tuple(missing),
    )


def read_test(folder: Path) -> tuple[Case, ...]:
    """The pairs under ``test``, none where that lists images without labels, as the Decathlon does. Raises BadData."""
    path = folder / DESCRIPTION_FILE
    pairs = read_json(path).get("test")
    if not isinstance(pairs, list) or not all(isinstance(pair, dict) and "label" in pair for pair in pairs):
        return ()
    cases = [_case(folder, pair, f"{path}: test[{i}]") for i, pair in enumerate(pairs)]
    return tuple(sorted(cases, key=lambda case: case.name))


def _case(folder: Path, pair: Any, where: str) -> Case:
    if not isinstance(pair, dict) or not all(isinstance(pair.get(key), str) for key in ("image", "label")):
        raise BadData(where, f"expected an object with image and label, found {pair!r}")
    image, label = inside(folder, pair["image"], where), inside(folder, pair["label"], where)
    return Case(image.name.removesuffix(".gz").removesuffix(".nii"), image, label)


def _classes(labels: Any, path: Path) -> tuple[str, ...]:
    """Names by label: {"0": "background", "1": ...}, without gaps."""
    if not isinstance(labels, Mapping) or sorted(labels) != sorted(str(i) for i in range(len(labels))):
        raise BadData(path, f'expected labels {{"0": "background", "1": ...}}, found {labels!r}')
    if not 2 <= len(labels) <= 256:
        raise BadData(path, f"expected 2 to 256 labels, found {len(labels)}")
    return tuple(str(labels[str(i)]) for i in range(len(labels)))


def _folds(path: Path) -> tuple[tuple[list[str], list[str]], ...]:
    if not path.exists():
        return ()
    document = read_json(path)
    try:
        return tuple(([str(c) for c in fold["train"]], [str(c) for c in fold["val"]]) for fold in document)
    except (TypeError, KeyError):
        raise BadData(path, 'expected a list of {"train": [...], "val": [...]}') from None
