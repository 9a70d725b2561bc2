"""A set of labelled images before they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpo_trainer.data import splits
from hpo_trainer.data.files import Image

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """A data set before its images are read: what ``image(i)`` is labelled, and who validates.

    ``files``: the file of each image, none for an archive. ``groups``: the patient of each, none where nobody tells.
    ``rest``: what the images are called that are in neither side of the split. ``names``: what each image is called,
    for people. ``test``: the images on the test side; those of an archive are a source of their own.
    """

    path: Path
    labels: Labels
    classes: tuple[str, ...]
    split: splits.Split
    image: Callable[[int], Image]
    names: tuple[str, ...]
    files: tuple[Path, ...] = ()
    groups: tuple[str, ...] = ()
    rest: str = "left out"
    test: splits.Indices = field(default_factory=splits.nothing)
