"""The best trial's configuration, trained anew on each fold: what is written down of it, and where.

``folds.json`` holds the folds, before the first of them trains; ``fold<k>`` is the checkpoint folder of fold k.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from hpo_trainer.checkpoint import flush_folder, write_durably
from hpo_trainer.data.folds import Fold, Folds
from hpo_trainer.data.splits import NamedSplit
from hpo_trainer.final.request import Candidate

FOLDS_FILE = "folds.json"


@dataclass(frozen=True)
class Retrained:
    """``trial``: whose configuration it is. ``epochs``: how long each network is trained, as long as that trial was."""

    folder: Path
    trial: str
    epochs: int
    folds: Folds

    @property
    def names(self) -> tuple[str, ...]:
        """Of the networks: ``fold0``, ``fold1``, ..."""
        return tuple(f"fold{k}" for k in range(len(self.folds.folds)))

    def candidate(self, name: str) -> Candidate:
        """Its network, as ``open_model`` takes it. It is judged by nobody here, so it has no value."""
        return Candidate(name, self.folder / name, float("nan"), self.epochs, self.split(name))

    def split(self, name: str) -> NamedSplit:
        fold = self.folds.folds[self.names.index(name)]
        return NamedSplit(fold.train, fold.validation, self.folder / FOLDS_FILE)


def write_retrained(retrained: Retrained) -> None:
    """By rename: a kill leaves no file or a whole one."""
    document = {"trial": retrained.trial, "epochs": retrained.epochs, **asdict(retrained.folds)}
    path = retrained.folder / FOLDS_FILE
    retrained.folder.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    write_durably(new, json.dumps(document, indent=1).encode() + b"\n")
    new.replace(path)
    flush_folder(retrained.folder)


def read_retrained(folder: Path) -> Retrained | None:
    """None where nothing has been written."""
    path = folder / FOLDS_FILE
    if not path.exists():
        return None
    document = json.loads(path.read_text())
    folds = [Fold(tuple(f["train"]), tuple(f["validation"]), f["fields"]) for f in document["folds"]]
    return Retrained(folder, document["trial"], document["epochs"], Folds(document["origin"], tuple(folds)))
