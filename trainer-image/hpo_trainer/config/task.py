"""The fields that all built-in tasks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpo_trainer.config.fields import option, snake_case
from hpo_trainer.failures import BadConfig

PATHS = ("dataset", "splitFile", "sourceCheckpoint", "sourceDataset", "weights")
"""Fields that hold a path, which may not leave the data volume."""


@dataclass(frozen=True)
class TaskConfig:
    """What all tasks share. ``dataset`` is relative to the data volume, ``split_file`` to the data set.

    ``micro_batch_size``: samples of a batch that go through the network at once; 0: all, see ``gradients``.
    """

    dataset: str = option(".")
    split_file: str = option("")
    split_column: str = option("split")
    validation_fraction: float = option(0.25, 0.01, 0.9)
    epochs: int = option(10, 1, 100_000)
    batch_size: int = option(8, 1, 4096)
    micro_batch_size: int = option(0, 0, 4096)
    learning_rate: float = option(0.001, 1e-9, 100.0)
    augmentation: bool = option(False)
    deterministic: bool = option(True)
    validation_interval: int = option(1, 1, 1000)

    def check(self, source: Mapping[str, str]) -> None:
        """Rules between fields; ``source`` tells where each field's value came from. Raises BadConfig."""
        for name in (n for n in PATHS if n in source):
            path = str(getattr(self, snake_case(name)))
            if path.startswith("/") or ".." in path.split("/"):
                raise BadConfig(source[name], f"expected a path inside the data volume, found {path!r}")
