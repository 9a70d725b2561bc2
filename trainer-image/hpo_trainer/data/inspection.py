"""What a data set holds, item by item: read once, measured, and let go. Faults are gathered, not raised.

An item is an image, or a volume with its mask. The same sources are read that training reads, so that what is said here
is what a trial would meet.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpo_trainer.config import ClassificationConfig, SegmentationConfig
from hpo_trainer.data import classification, decathlon, dicom, labelled_archive, nifti, segmentation, splits
from hpo_trainer.data.files import DICOM_SUFFIX, Image, array_names
from hpo_trainer.data.labelled_source import Source
from hpo_trainer.failures import BadConfig, BadData

PATIENT = r"(?i)(?:^|[^a-z])((?:patient|pat|subject|subj|sub|case|volume|vol)[-_ ]?[0-9]+)"
"""How file names usually tell the patient: sub-01_T1w, patient12_slice3, scan_case_7."""


@dataclass(frozen=True)
class Item:
    """One image or volume.

    ``name``: its file within the data set, or its number. ``group``: its patient, "" if nobody tells. ``size``: pixels
    along each axis. ``spacing``: millimetres, of volumes alone. ``low``, ``high``: the least and greatest value.
    ``counts``: of each class, 1 for the class of an image, else the mask's voxels. ``content``: a hash of the pixels.
    """

    name: str
    group: str
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    low: float
    high: float
    counts: tuple[int, ...]
    content: str


@dataclass(frozen=True)
class Inventory:
    """``sides``: of each split by its name, the side of each item: train, val, test or left out."""

    layout: str
    task: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    sides: dict[str, tuple[str, ...]]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    """Either task's source, seen alike: ``read(i)`` gives the image (C, *S) or (H, W), and the voxels of each class."""

    layout: str
    task: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    sides: dict[str, tuple[str, ...]]
    read: Callable[[int], tuple[Image, tuple[int, ...]]]
    spacing: Callable[[int], tuple[float, ...]]


def take(
    path: Path,
    split_file: str = "",
    split_column: str = "split",
    patient: str = PATIENT,
    positions: Sequence[int] | None = None,
) -> Inventory:
    """Read all of the data set at ``path``, the test images too, since they have to be compared with the others.

    ``positions``: of the items that are looked at, in the order of the training's own sources; None: all.

    ``patient``: a regular expression; its first group, in a file's name, is the patient. Raises BadData where the
    layout is not understood, and BadConfig where the split file or its column is not there.
    """
    if is_segmentation(path):
        source = _volumes(path, re.compile(patient), split_file, split_column)
    else:
        source = _pictures(path, ClassificationConfig(split_file=split_file, split_column=split_column), patient)
    items: dict[int, Item] = {}
    unreadable = []
    for i in range(len(source.names)) if positions is None else positions:
        try:
            items[i] = _item(source, i)
        except BadData as error:
            unreadable.append(str(error))
    sides = {name: tuple(of[i] for i in items) for name, of in source.sides.items()}
    return Inventory(source.layout, source.task, source.classes, tuple(items.values()), sides, tuple(unreadable))


def pattern(given: str) -> str:
    """The option ``--patient``. Raises ArgumentTypeError for what is no regular expression with a group."""
    try:
        if re.compile(given).groups < 1:
            raise argparse.ArgumentTypeError(f"expected a group in parentheses that holds the patient, found {given!r}")
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{given!r} is no regular expression: {error}") from None
    return given


def reachable(path: Path) -> bool:
    """Whether there is anything at ``path`` that this user may see."""
    try:
        return path.exists()
    except PermissionError:
        return False


def is_segmentation(path: Path) -> bool:
    return (path / decathlon.DESCRIPTION_FILE).exists() if path.is_dir() else "masks" in array_names(path)


def _item(source: _Source, i: int) -> Item:
    image, counts = source.read(i)
    spacing = source.spacing(i)
    size = image.shape[1:] if source.task == "segmentation" else image.shape
    content = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16, key=repr(image.shape).encode())
    low, high = float(image.min()) + 0.0, float(image.max()) + 0.0  # 0, not -0
    return Item(source.names[i], source.groups[i], tuple(size), spacing, low, high, counts, content.hexdigest())


def _pictures(path: Path, config: ClassificationConfig, patient: str) -> _Source:
    source = classification.find(path, config)
    if not source.files and not source.groups:
        return _medmnist(path, source)
    names = _names(source.files, path, len(source.labels))
    layout = "a folder for each class" if source.files else ".npz with images and labels"
    split = {config.split_column if config.split_file else "default": _sides(source.split, len(names), source.rest)}

    def read(i: int) -> tuple[Image, tuple[int, ...]]:
        return source.image(i), _one_hot(source.labels[i], len(source.classes))

    compiled = re.compile(patient)
    files: Sequence[Path | None] = source.files or [None] * len(names)
    groups = source.groups or tuple(_patient(name, file, compiled) for name, file in zip(names, files, strict=True))
    return _Source(layout, "classification", source.classes, names, groups, split, read, lambda i: ())


def _medmnist(path: Path, source: Source) -> _Source:
    """Three pairs of arrays, one after the other; the test images, which no trial reads, are compared here."""
    labels, test_image = labelled_archive.find_test(path)
    counts = {"train": len(source.split.train), "val": len(source.split.validation), "test": len(labels)}
    known = counts["train"] + counts["val"]
    names = tuple(f"{side}_images[{i}]" for side, count in counts.items() for i in range(count))
    sides = tuple(side for side, count in counts.items() for _ in range(count))
    every = np.concatenate([source.labels, labels])

    def read(i: int) -> tuple[Image, tuple[int, ...]]:
        return source.image(i) if i < known else test_image(i - known), _one_hot(every[i], len(source.classes))

    layout, groups = ".npz with images and labels of each side", ("",) * len(names)
    return _Source(layout, "classification", source.classes, names, groups, {"arrays": sides}, read, lambda i: ())


def _one_hot(label: np.int64, classes: int) -> tuple[int, ...]:
    return tuple(int(label == c) for c in range(classes))


def _volumes(path: Path, patient: re.Pattern[str], split_file: str, split_column: str) -> _Source:
    source = segmentation.find(path, SegmentationConfig(split_file=split_file, split_column=split_column))
    names = _names(source.files, path, len(source.cases))
    layout = "Decathlon folder" if source.files else ".npz with images and masks"
    groups = [_patient(name, None, patient) for name in names] if source.files else _numbers(source.cases)

    def read(i: int) -> tuple[Image, tuple[int, ...]]:
        image, mask = source.pair(i)
        return image, tuple(np.bincount(mask.ravel(), minlength=len(source.classes)).tolist())

    def spacing(i: int) -> tuple[float, ...]:
        return nifti.read_spacing(source.files[i]) if source.files else ()

    if split_file and not source.files:
        folds = {split_column: _sides(source.split, len(names), "test")}
    else:
        folds = _folds(path, len(names), "test" if source.files else "left out")  # listed folds leave out what tests
    return _Source(layout, "segmentation", source.classes, names, tuple(groups), folds, read, spacing)


def _folds(path: Path, count: int, rest: str) -> dict[str, tuple[str, ...]]:
    """The sides in every fold that there is."""
    found: dict[str, tuple[str, ...]] = {}
    while True:
        try:
            split = segmentation.find(path, SegmentationConfig(fold=len(found))).split
        except BadConfig:
            return found
        found[f"fold {len(found)}"] = _sides(split, count, rest)


def _sides(split: splits.Split, count: int, rest: str) -> tuple[str, ...]:
    sides = np.full(count, rest, dtype=object)
    sides[split.train], sides[split.validation] = "train", "val"
    return tuple(sides.tolist())


def _names(files: tuple[Path, ...], path: Path, count: int) -> tuple[str, ...]:
    return tuple(str(f.relative_to(path)) for f in files) if files else tuple(f"images[{i}]" for i in range(count))


def _numbers(groups: NDArray[np.int64]) -> list[str]:
    return ["" if group == splits.LEFT_OUT else str(group) for group in groups]


def _patient(name: str, file: Path | None, pattern: re.Pattern[str]) -> str:
    """Of DICOM what the header says, else what the file's name says."""
    if file is not None and file.suffix.lower() == DICOM_SUFFIX:
        try:
            return dicom.patient(file)
        except BadData:
            return ""  # the file itself is reported when its pixels are read
    found = pattern.search(Path(name).name)  # of an archive, "images[7]", nothing
    return found[1].lower() if found else ""
