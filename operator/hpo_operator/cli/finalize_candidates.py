"""Which trials of a finished study can become the final model, and where their checkpoints lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_engine.incumbent import ranked
from hpo_engine.trial import Trial
from hpo_operator.api.parse import parse_study, parse_trial
from hpo_operator.api.study import Study, Volume
from hpo_operator.local.claims import claim_directory
from hpo_operator.local.store import ObjectStore
from hpo_operator.manifests.names import checkpoint_folder, trial_name
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.objects import find_study
from hpo_operator.studies.stored_objects import Source
from hpo_operator.studies.typed_objects import engine_view

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class FinishedStudy:
    """``request``: what the trainer is told, see ``hpo_trainer.final.request``. ``folder``: the study's state."""

    folder: Path
    data: Path
    request: dict[str, Any]

    @property
    def trials(self) -> list[str]:
        """Names of the candidates, the best first."""
        return [candidate["trial"] for candidate in self.request["candidates"]]


def finished_study(target: str, state: Path, claims: Mapping[str, Path], most: int) -> FinishedStudy:
    """At most ``most`` candidates: the best by the objective among those trained as far as the best.

    A trial whose checkpoint the study's retention has deleted is none.

    Raises:
        Mistake: no such study is stored, no trial of a built-in task was measured, or its files are not here.
    """
    found = find_study(Source(state), target)
    stored, study, folder = engine_view(found), parse_study(found.study), found.folder
    assert folder is not None  # a study of a folder has one
    store = ObjectStore(folder)
    if study.spec.trainer.task is None:
        raise Mistake(
            f"{study.name}: expected a built-in task under spec.trainer, found a podTemplate: "
            "only the programme that trained it knows how to load its checkpoints"
        )
    if study.spec.trainer.data is None:
        raise Mistake(f"{study.name}: spec.trainer.data names no volume with the data set")
    order, top = ranked(stored.study, stored.trials)
    deleted = {t["spec"]["index"] for t in store.all("trials") if (t.get("status") or {}).get("checkpointDeleted")}
    candidates = [
        {
            "trial": trial_name(study.name, trial.index),
            "checkpoint": str(_checkpoint(study, trial, store, claims, folder)),
            "value": trial.value_at(top),
            "resource": top,
        }
        for trial in [t for t in order if t.index not in deleted][:most]
    ]
    if not candidates:
        raise Mistake(f"{study.name}: no trial has been measured yet; run the study first: hpo run")
    return FinishedStudy(
        folder,
        _directory(study.spec.trainer.data, claims, folder),
        {"study": _facts(found.study, store.all("trials")), "candidates": candidates},
    )


def _checkpoint(study: Study, trial: Trial, store: ObjectStore, claims: Mapping[str, Path], folder: Path) -> Path:
    """A study without a checkpoint volume keeps them with each Pod: then that of the last one counts."""
    name = trial_name(study.name, trial.index)
    inside = checkpoint_folder(study.uid, name)
    volume = study.spec.trainer.checkpoints
    if volume is not None:
        return _directory(volume, claims, folder) / inside
    pod = parse_trial(store.get("trials", name) or {}).status.pod
    return folder.resolve() / "processes" / str(pod) / "volumes" / "hpo-checkpoints" / inside


def _directory(volume: Volume, claims: Mapping[str, Path], folder: Path) -> Path:
    directory = claim_directory(volume.claim_name, claims, folder.parent) / volume.sub_path
    if not directory.is_dir():
        raise Mistake(
            f"claim {volume.claim_name}: no directory {directory}; name it as for hpo run: "
            f"--volume {volume.claim_name}=DIR"
        )
    return directory


def _facts(raw: Raw, trials: list[dict[str, Any]]) -> dict[str, Any]:
    """For the model card."""
    status = raw.get("status") or {}
    seconds = [m.get("seconds") or 0 for t in trials for m in (t.get("status") or {}).get("measurements") or []]
    digest = hashlib.sha256(json.dumps(raw["spec"], sort_keys=True).encode()).hexdigest()
    kept = ("algorithm", "phase", "progress", "gpuHours", "startTime", "completionTime")
    return {
        "name": raw["metadata"]["name"],
        "digest": digest[:16],
        "spec": raw["spec"],
        "status": {key: status[key] for key in kept if key in status},
        "trainingSeconds": sum(seconds),
    }
