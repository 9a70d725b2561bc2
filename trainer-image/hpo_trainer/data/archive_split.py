"""The split file beside an archive: which of its images train, validate and test, by their positions."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from hpo_trainer.config import TaskConfig
from hpo_trainer.data import splits
from hpo_trainer.data.files import inside, reading
from hpo_trainer.failures import BadConfig, BadData

POSITION = "image"
"""The column of positions, from 0."""


def read(path: Path, config: TaskConfig, count: int) -> tuple[splits.Split, splits.Indices]:
    """Who trains and validates, and the test side, of the ``count`` images in the archive ``path``; images that are not
    listed are not used. Raises BadConfig and BadData."""
    file = inside(path.parent, config.split_file, "splitFile")
    with reading(file, "CSV"), file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        columns, rows = reader.fieldnames or [], list(reader)
    for needed in (POSITION, config.split_column):
        if needed not in columns:
            field = f"HPO_CONFIG.{'splitColumn' if needed == config.split_column else 'splitFile'}"
            raise BadConfig(field, f"expected a column {needed!r} in {file}, found {', '.join(columns) or 'none'}")
    sides = np.full(count, "", dtype=object)
    for number, row in enumerate(rows, start=2):
        position, side = row[POSITION] or "", row[config.split_column] or ""
        where = f"{file}:{number}"
        if not position.isdecimal() or int(position) >= count:
            raise BadData(where, f"expected the position of an image, from 0 to {count - 1}, found {position!r}")
        if side not in splits.SPLIT_NAMES:
            raise BadData(
                where, f"expected train, val or test in column {config.split_column!r}, found {side!r}; correct it"
            )
        if sides[int(position)]:
            raise BadData(where, f"image {position} is listed twice; leave one out")
        sides[int(position)] = splits.SPLIT_NAMES[side]
    return splits.Split(np.flatnonzero(sides == "train"), np.flatnonzero(sides == "val")), np.flatnonzero(
        sides == "test"
    )
