"""Which trials of a study can become the final model, and what the trainer is told of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_engine.incumbent import ranked
from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study, parse_trial
from hpo_operator.api.study import Study, Volume
from hpo_operator.local.claims import claim_directory
from hpo_operator.manifests.final import MOST_BYTES
from hpo_operator.manifests.names import checkpoint_folder, trial_name
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.objects import StudyObjects, find_study
from hpo_operator.studies.stored_objects import Source
from hpo_operator.studies.typed_objects import engine_view

Raw = Mapping[str, Any]
TOLD = ("objective", "parameters", "budget", "seed")
"""What the model card, and a retraining, know of the specification."""


@dataclass(frozen=True)
class FinishedStudy:
    """A study of this machine. ``request``: what the trainer is told. ``folder``: the study's state."""

    folder: Path
    data: Path
    request: dict[str, Any]


def finished_study(target: str, state: Path, claims: Mapping[str, Path], most: int, mirrored: bool) -> FinishedStudy:
    """Raises Mistake, as ``final_request``; also where no such study is stored, or its files are not here."""
    found = find_study(Source(state), target)
    folder, study = found.folder, final_study(found)
    assert folder is not None and study.spec.trainer.data is not None  # a study of a folder has one; a task needs one
    trials = {trial["metadata"]["name"]: trial for trial in found.trials}

    def checkpoint(name: str) -> str:
        """A study without a checkpoint volume keeps them with each Pod: then that of the last one counts."""
        inside, volume = checkpoint_folder(study.uid, name), study.spec.trainer.checkpoints
        if volume is not None:
            return str(_directory(volume, claims, folder) / inside)
        pod = parse_trial(trials[name]).status.pod
        return str(folder.resolve() / "processes" / str(pod) / "volumes" / "hpo-checkpoints" / inside)

    request = final_request(found, study, most, mirrored, checkpoint)
    return FinishedStudy(folder, _directory(study.spec.trainer.data, claims, folder), request)


def final_study(found: StudyObjects) -> Study:
    """The study, if the trainer knows how to load what its trials have saved. Raises Mistake."""
    try:
        study = parse_study(found.study)
    except InvalidObject as error:
        raise Mistake(f"{found.name}: {error}") from None
    if study.spec.trainer.task is None:
        raise Mistake(
            f"{study.name}: expected a built-in task under spec.trainer, found a podTemplate: "
            "only the programme that trained it knows how to load its checkpoints"
        )
    if study.spec.trainer.data is None:
        raise Mistake(f"{study.name}: spec.trainer.data names no volume with the data set")
    return study


def final_request(
    found: StudyObjects, study: Study, most: int, mirrored: bool, checkpoint: Callable[[str], str]
) -> dict[str, Any]:
    """What ``hpo_trainer.final`` is told. At most ``most`` candidates: the best by the objective among those trained
    as far as the best. A trial whose checkpoint the study's retention has deleted is none.

    ``checkpoint``: the folder of the trial of that name.

    Raises:
        Mistake: no trial was measured, no checkpoint is left, or there is too much to tell.
    """
    stored = engine_view(found)
    order, top = ranked(stored.study, stored.trials)
    if not order:
        raise Mistake(f"{study.name}: no trial has been measured yet, so that there is no model")
    deleted = {t["spec"]["index"] for t in found.trials if (t.get("status") or {}).get("checkpointDeleted")}
    kept = [trial for trial in order if trial.index not in deleted][:most]
    if not kept:
        raise Mistake(
            f"{study.name}: the checkpoints of all {len(order)} trials that could be the final model were deleted; "
            "keep those of the best next time: spec.retention.bestCheckpoints"
        )
    named = [(trial_name(study.name, trial.index), trial) for trial in kept]
    candidates = [
        {"trial": name, "checkpoint": checkpoint(name), "value": trial.value_at(top), "resource": top}
        for name, trial in named
    ]
    facts = _facts(found.study, found.trials)
    request = {"study": facts, "candidates": candidates, "mirroredPrediction": mirrored}
    if (size := len(json.dumps(request))) > MOST_BYTES:
        raise Mistake(
            f"{study.name}: the study and its candidates take {size} bytes, and a process is told {MOST_BYTES} at "
            "most; fewer --candidates take less"
        )
    return request


def _directory(volume: Volume, claims: Mapping[str, Path], folder: Path) -> Path:
    directory = claim_directory(volume.claim_name, claims, folder.parent) / volume.sub_path
    if not directory.is_dir():
        raise Mistake(
            f"claim {volume.claim_name}: no directory {directory}; name it as for hpo run: "
            f"--volume {volume.claim_name}=DIR"
        )
    return directory


def _facts(raw: Raw, trials: Sequence[Raw]) -> dict[str, Any]:
    """For the model card."""
    status = raw.get("status") or {}
    seconds = [m.get("seconds") or 0 for t in trials for m in (t.get("status") or {}).get("measurements") or []]
    digest = hashlib.sha256(json.dumps(raw["spec"], sort_keys=True).encode()).hexdigest()
    kept = ("algorithm", "phase", "progress", "gpuHours", "startTime", "completionTime")
    return {
        "name": raw["metadata"]["name"],
        "digest": digest[:16],
        "spec": {key: raw["spec"][key] for key in TOLD if key in raw["spec"]},
        "status": {key: status[key] for key in kept if key in status},
        "trainingSeconds": sum(seconds),
    }
