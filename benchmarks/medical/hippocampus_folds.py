"""The hippocampus in two folds: one to search on, and nnU-Net's fold 0, whose validation side is read at the end."""

from __future__ import annotations

import json
import shutil

from medical.data import VOLUME, hippocampus

NAME = "Hippocampus_search"
SEARCH, JUDGED = 0, 1
"""Numbers of the folds in ``NAME``'s splits_final.json."""


def search_data() -> str:
    """Name of the data set in the volume: links to the images, and a splits_final.json of its own.

    The search trains and validates inside the training side of nnU-Net's fold 0: what validates nnU-Net's fold 1
    validates, the rest trains.
    """
    original, folder = hippocampus(), VOLUME / NAME
    if not folder.exists():
        draft = VOLUME / f"{NAME}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        for part in ("imagesTr", "labelsTr"):
            (draft / part).symlink_to(f"../{original.name}/{part}")
        shutil.copyfile(original / "dataset.json", draft / "dataset.json")
        first, second = json.loads((original / "splits_final.json").read_text())[:2]
        inner = {"train": sorted({*first["train"]} - {*second["val"]}), "val": second["val"]}
        (draft / "splits_final.json").write_text(json.dumps([inner, first]))
        draft.rename(folder)
    return NAME
