"""Each candidate's probabilities on the validation images, on disk.

``OUT/<trial>.npz`` has the arrays ``p0``, ``p1``, ..., one for each part (see ``sides``), a row for each image
or voxel: (R, K), float32 or, of voxels, in 255ths; and ``OUT/truth.npz`` has ``t<i>``, the rows' classes (R,), and
``u<i>``, the number of the patient or case that each row is of.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from hpo_trainer.failures import BadData
from hpo_trainer.final.model import open_model
from hpo_trainer.final.request import Request
from hpo_trainer.final.sides import Images, Probabilities, Side, predict, validation_side
from hpo_trainer.stop import Stop


def run(request: Request, data_dir: Path, out: Path, stop: Stop) -> None:
    def poll() -> None:
        stop.check("while the candidates predict; nothing is lost")

    out.mkdir(parents=True, exist_ok=True)
    classes: tuple[str, ...] = ()
    truth: dict[str, Any] = {}
    for candidate in request.candidates:
        model = open_model(candidate, data_dir, poll)
        side = validation_side(model)
        seen = _truth(side)
        if not truth:
            classes, truth = model.classes, seen
            np.savez_compressed(out / "truth.npz", **truth)
        elif model.classes != classes or not _same(seen, truth):
            raise BadData(
                candidate.checkpoint,
                f"{candidate.trial} was judged on other images than {request.candidates[0].trial}: a study whose "
                "split or images are tuned has no common validation side, and its trials cannot be combined",
            )
        parts = {f"p{i}": _rows(side, part) for i, part in enumerate(predict(model, side, poll))}
        np.savez_compressed(out / f"{candidate.trial}.npz", allow_pickle=False, **parts)
        print(f"{candidate.trial}: predicted the validation images", file=sys.stderr, flush=True)


def _truth(side: Side) -> dict[str, Any]:
    if isinstance(side, Images):
        return {"t0": side.labels, "u0": np.unique(np.array(side.groups), return_inverse=True)[1]}
    found: dict[str, Any] = {}
    for i, case in enumerate(side.cases):
        found[f"t{i}"] = np.concatenate([sample.mask.numpy().ravel() for sample in case.samples])
        found[f"u{i}"] = np.full(len(found[f"t{i}"]), i, dtype=np.int32)
    return found


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def _rows(side: Side, part: Probabilities) -> Any:
    if isinstance(side, Images):
        return part
    rows = np.moveaxis(part, 1, -1).reshape(-1, part.shape[1])
    return np.round(rows * 255).astype(np.uint8)
