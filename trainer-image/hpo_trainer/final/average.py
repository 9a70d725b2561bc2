"""The weighted mean of several models' predictions, kept on disk: a model predicts once, and is then let go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from hpo_trainer.final.sides import Probabilities


class Average:
    """The mean over models, part by part (see ``sides``). ``folder`` is its own, and is filled anew."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._weight, self._parts = folder, 0.0, 0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, parts: Iterable[Probabilities], weight: float) -> None:
        count = 0
        for part in parts:
            path = self._path(count)
            scaled = part * np.float32(weight)
            np.save(path, scaled if self._weight == 0 else np.load(path) + scaled)
            count += 1
        self._weight, self._parts = self._weight + weight, count

    def parts(self) -> Iterator[Probabilities]:
        for i in range(self._parts):
            mean: Probabilities = np.load(self._path(i)) / np.float32(self._weight)
            yield mean

    def _path(self, part: int) -> Path:
        return self._folder / f"{part}.npy"
