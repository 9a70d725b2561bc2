"""Labelled images: folders of PNG and JPEG files, and .npz files; see docs/data-formats.md."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hpo_trainer.config import LabelledImagesConfig
from hpo_trainer.data import labelled_archive, splits
from hpo_trainer.data.digest import digest
from hpo_trainer.data.files import (
    DICOM_SUFFIX,
    IMAGE_SUFFIXES,
    entries,
    find_data_set,
    inside,
    read_image,
    reading,
)
from hpo_trainer.data.labelled_source import Source
from hpo_trainer.failures import BadConfig, BadData

PATIENT_COLUMNS = ("patient", "group", "patient_id", "volume")
"""The first of these that a split file has says which images belong together."""


@dataclass(frozen=True)
class LabelledImages:
    """``images``: float32, (N, 1, S, S), standardised by the training images; ``labels``: int64, (N,).

    ``names``: what each image is called. ``groups``: the patient of each, none where nobody tells.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassificationData:
    """``mean``, ``deviation``: of the training images' pixels, by which all are standardised.

    ``test``: reads the test side as the other two were read, with its own source; None where there is none. No trial
    ever calls it.
    """

    train: LabelledImages
    validation: LabelledImages
    classes: tuple[str, ...]
    fingerprint: str
    mean: float
    deviation: float
    test: Callable[[Callable[[], None]], tuple[Source, LabelledImages] | None]

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """The names of the images that train and validate."""
        return {"train": self.train.names, "validation": self.validation.names}


def load(
    data_dir: Path, config: LabelledImagesConfig, poll: Callable[[], None], split: splits.NamedSplit | None = None
) -> ClassificationData:
    """Read the images that this configuration trains and validates on; ``poll`` is called between two files.

    ``split``: in place of the one that the configuration names.
    Raises BadData, and BadConfig where the data set and the configuration do not go together.
    """
    source = find(find_data_set(data_dir, config.dataset), config)
    if split is not None:
        source = replace(source, split=split.of(source.names))
    chosen = splits.evenly(source.split.train, source.labels, config.train_samples_per_class)
    _check_classes(source, chosen)
    train = _read(source, chosen, config.image_size, poll)
    validation = _read(source, source.split.validation, config.image_size, poll)
    mean, deviation = train.mean(), train.std(correction=0)
    if deviation == 0:
        raise BadData(source.path, "all training images have one and the same grey value")

    def labelled(of: Source, images: Tensor, indices: splits.Indices) -> LabelledImages:
        names, groups = (tuple(known[i] for i in indices) if known else () for known in (of.names, of.groups))
        return LabelledImages((images - mean) / deviation, torch.from_numpy(of.labels[indices]), names, groups)

    def test(poll: Callable[[], None]) -> tuple[Source, LabelledImages] | None:
        side = source if source.test.size else labelled_archive.find_unseen(source)
        if side is None:
            return None
        return side, labelled(side, _read(side, side.test, config.image_size, poll), side.test)

    return ClassificationData(
        labelled(source, train, chosen),
        labelled(source, validation, source.split.validation),
        source.classes,
        digest(train, source.labels[chosen], validation, source.labels[source.split.validation], source.classes),
        float(mean),
        float(deviation),
        test,
    )


def find(path: Path, config: LabelledImagesConfig) -> Source:
    """What there is at ``path``, and who validates; no image file is read yet. Raises BadData and BadConfig."""
    return _folder(path, config) if path.is_dir() else labelled_archive.find(path, config)


def _check_classes(source: Source, train: splits.Indices) -> None:
    """Each class must occur on both sides: it could not be learned, or the metrics would not tell."""
    if len(source.classes) < 2:
        raise BadData(source.path, f"expected at least two classes, found {', '.join(source.classes) or 'none'}")
    if source.split.validation.size == 0:
        raise BadData(source.path, "no image is left for validation")
    for side, indices in (("training", train), ("validation", source.split.validation)):
        counts = np.bincount(source.labels[indices], minlength=len(source.classes))
        for name, count in zip(source.classes, counts, strict=True):
            if count == 0:
                raise BadData(source.path, f"no {side} image of class {name!r}; add some, or leave the class out")


def _read(source: Source, indices: splits.Indices, size: int, poll: Callable[[], None]) -> Tensor:
    """(N, 1, size, size): each image resized (bilinear, with antialiasing, aspect ratio not kept)."""
    images = torch.empty((len(indices), 1, size, size))
    for row, index in enumerate(indices):
        poll()
        image = torch.from_numpy(source.image(int(index)))[None, None]
        same = image.shape[-2:] == (size, size)
        images[row] = (
            image[0]
            if same
            else functional.interpolate(image, (size, size), mode="bilinear", antialias=True, align_corners=False)[0]
        )
    return images


# ---------------------------------------------------------------------------------------------------------- folders


def _folder(path: Path, config: LabelledImagesConfig) -> Source:
    classes = tuple(entry.name for entry, is_folder in entries(path) if is_folder)
    if config.split_file:
        rows = list(_split_rows(inside(path, config.split_file, "splitFile"), config.split_column, classes))
        files = [inside(path, f"{row.name}/{row.file}", config.split_file) for row in rows]
        labels = np.array([classes.index(row.name) for row in rows], dtype=np.int64)
        sides, groups = np.array([row.side for row in rows]), tuple(row.group for row in rows if row.group)
        split = splits.Split(np.flatnonzero(sides == "train"), np.flatnonzero(sides == "val"))
        test = np.flatnonzero(sides == "test")
    else:
        if {"train", "test"} & {name.lower() for name in classes}:
            raise BadData(path, "expected one folder per class, found train or test; name the split in a splitFile")
        found = [(i, file) for i, name in enumerate(classes) for file in _images_in(path / name)]
        files = [file for _, file in found]
        labels = np.array([i for i, _ in found], dtype=np.int64)
        if not files:
            raise BadData(path, f"no {', '.join(IMAGE_SUFFIXES)} file in a folder named after its class")
        split, groups, test = splits.by_blocks(labels, config.validation_fraction), (), splits.nothing()
    _check_units(path, files)
    names = tuple(str(file.relative_to(path)) for file in files)
    patients = groups if len(groups) == len(files) else ()
    source = Source(path, labels, classes, split, lambda i: read_image(files[i]), names, tuple(files), patients)
    return replace(source, rest="test", test=test)


def _images_in(folder: Path) -> list[Path]:
    return [entry for entry, _ in entries(folder) if entry.suffix.lower() in IMAGE_SUFFIXES]


def _check_units(path: Path, files: list[Path]) -> None:
    """DICOM has units of its own, PNG and JPEG become [0, 1]: a network would learn to tell files, not classes."""
    dicom = sum(file.suffix.lower() == DICOM_SUFFIX for file in files)
    if 0 < dicom < len(files):
        raise BadData(path, f"expected DICOM files alone or none, found {dicom} of {len(files)}; convert some")


class Row(NamedTuple):
    """A line of a split file; ``name`` is the class, ``group`` the patient, empty where no column tells."""

    name: str
    file: str
    side: str
    group: str


def _split_rows(path: Path, column: str, classes: tuple[str, ...]) -> Iterable[Row]:
    """The lines of a split file, in which a file may be listed once."""
    with reading(path, "CSV"), path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        columns, rows = reader.fieldnames or [], list(reader)
    for needed in ("class", "file", column):
        if needed not in columns:
            field = f"HPO_CONFIG.{'splitColumn' if needed == column else 'splitFile'}"
            raise BadConfig(field, f"expected a column {needed!r} in {path}, found {', '.join(columns) or 'none'}")
    patient = next((c for c in PATIENT_COLUMNS if c in columns), "")
    seen = set()
    for number, row in enumerate(rows, start=2):
        name, file, side = (row[c] or "" for c in ("class", "file", column))
        where = f"{path}:{number}"
        if name not in classes:
            raise BadData(where, f"no folder for class {name!r}")
        if side not in splits.SPLIT_NAMES:
            raise BadData(where, f"expected train, val or test in column {column!r}, found {side!r}")
        if (name, file) in seen:
            raise BadData(where, f"{name}/{file} is listed twice")
        seen.add((name, file))
        yield Row(name, file, splits.SPLIT_NAMES[side], (row[patient] or "") if patient else "")
