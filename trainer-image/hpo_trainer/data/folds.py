"""Folds of what a study trained and validated on: those that its data set lists, or folds drawn by patient.

Drawn as ``hpo data split --folds`` draws them (see ``partition``); no test image is read on the way.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hpo_trainer.config import LabelledImagesConfig, MaskedImagesConfig, SegmentationConfig, TaskConfig
from hpo_trainer.data import classification, decathlon, inspection, labelled_source, leaks, partition, segmentation
from hpo_trainer.data.files import find_data_set, inside, reading
from hpo_trainer.data.split import class_counts
from hpo_trainer.data.splits import Indices, Split
from hpo_trainer.failures import BadConfig, BadData

Fields = Mapping[str, Any]
Source = labelled_source.Source | segmentation.Source


@dataclass(frozen=True)
class Fold:
    """Names of the images or volumes that train and that validate.

    ``fields``: what a configuration says, by its attributes, to get this fold; none where the fold was drawn.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    fields: Fields


@dataclass(frozen=True)
class Folds:
    """``origin``: where the folds come from, in words."""

    origin: str
    folds: tuple[Fold, ...]


def find_folds(data_dir: Path, config: TaskConfig, number: int, seed: int) -> Folds:
    """The data set's own folds, if each of them holds just what trains and validates under ``config``; else ``number``
    folds of that.

    Raises BadData where a class occurs in fewer patients or cases than there are folds.
    """
    path = find_data_set(data_dir, config.dataset)
    source = _source(path, config)
    listed = [(fields, _source(path, replace(config, **fields)).split) for fields in _listed(path, config)]
    if len(listed) > 1 and all(np.array_equal(_pool(split), _pool(source.split)) for _, split in listed):
        return Folds(_lister(path, config), tuple(_fold(source.names, split, fields) for fields, split in listed))
    drawn = _drawn(path, config, source, number, seed)
    return Folds(f"drawn by patient or case, seed {seed}", tuple(_fold(source.names, split, {}) for split in drawn))


def _source(path: Path, config: TaskConfig) -> Source:
    if isinstance(config, LabelledImagesConfig):
        return classification.find(path, config)
    assert isinstance(config, MaskedImagesConfig)
    reading_config = SegmentationConfig(
        split_file=config.split_file,
        split_column=config.split_column,
        validation_fraction=config.validation_fraction,
        fold=config.fold,
    )
    return segmentation.find(path, reading_config)


def _listed(path: Path, config: TaskConfig) -> list[Fields]:
    """What a configuration says to get each fold that the data set lists: ``splits_final.json``, or columns of the
    split file that differ from the study's in their number only (fold0, fold1, ...)."""
    if path.is_dir() and not isinstance(config, LabelledImagesConfig):
        return [{"fold": k} for k in range(len(decathlon.read(path).folds))]
    if not config.split_file:
        return []
    file = inside(path if path.is_dir() else path.parent, config.split_file, "splitFile")
    with reading(file, "CSV"), file.open(newline="", encoding="utf-8-sig") as lines:
        columns = next(csv.reader(lines), [])
    stem = re.sub("[0-9]+$", "", config.split_column)
    return [{"split_column": column} for column in columns if re.fullmatch(f"{re.escape(stem)}[0-9]+", column)]


def _lister(path: Path, config: TaskConfig) -> str:
    by_cases = path.is_dir() and not isinstance(config, LabelledImagesConfig)
    return f"listed in {decathlon.SPLITS_FILE if by_cases else config.split_file}"


def _pool(split: Split) -> Indices:
    return np.union1d(split.train, split.validation)


def _fold(names: Sequence[str], split: Split, fields: Fields) -> Fold:
    train, validation = (tuple(names[int(i)] for i in side) for side in (split.train, split.validation))
    return Fold(train, validation, fields)


def _drawn(path: Path, config: TaskConfig, source: Source, number: int, seed: int) -> list[Split]:
    pool = _pool(source.split)
    inventory = inspection.take(path, config.split_file, config.split_column, positions=pool.tolist())
    if inventory.unreadable:
        raise BadData(path, f"{len(inventory.unreadable)} images cannot be read, the first: {inventory.unreadable[0]}")
    groups, counts = leaks.families(inventory.items), class_counts(inventory)
    names = inventory.classes[1:] if inventory.task == "segmentation" else inventory.classes
    for name, shown in zip(names, (counts > 0).T, strict=True):
        held = len({group for group, shows in zip(groups, shown, strict=True) if shows})
        if held < number:
            raise BadConfig(
                "--folds", f"expected at most {held}, the patients or cases that show {name!r}, found {number}"
            )
    fold_of = partition.folds(groups, counts, number, seed)
    return [Split(pool[fold_of != k], pool[fold_of == k]) for k in range(number)]
