"""The Pod that makes the final model of a study, beside the study's checkpoints, and the one through which it is read.

Of the checkpoint volume they see the study's folder, and the first also the record of looks at test images, which all
studies of the volume share. The user creates them, not the operator.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo_operator.api.study import Study, Volume
from hpo_operator.manifests import names
from hpo_operator.manifests.cleaner import AMOUNTS, DEADLINE_SECONDS
from hpo_operator.manifests.pod import (
    CHECKPOINT_PATH,
    DATA_PATH,
    TERMINATION_LOG,
    Manifest,
    PodSettings,
    checkpoint_mount,
    checkpoint_volume,
    data_volume,
    restricted,
    scratch_volumes,
    trainer_image,
    whole_cpus,
)

FOLDER, LOOKS_FOLDER = "final", "test-looks"
"""Of the model, in the study's folder; and of the record of looks, beside the studies' folders."""
LOOKS_FILE = "test-looks.json"
LOOKS_PATH = "/looks"
REQUEST = "HPO_FINAL"
"""The variable that says what is asked for; see ``hpo_trainer.final``."""
MOST_BYTES = 100_000
"""Of that variable: Linux takes no longer one than 128 KiB."""


@dataclass(frozen=True)
class Wanted:
    """``look``: at the test images. ``folds``: to train the best trial anew on; None: it is handed over as it is."""

    look: bool
    tolerance: float
    folds: int | None


@dataclass(frozen=True)
class Places:
    """Paths, as the trainer finds them. ``retrained``: the folder for the checkpoints of a retraining."""

    data: str
    checkpoints: str
    work: str
    out: str
    looks: str
    retrained: str


PLACES = Places(
    DATA_PATH,
    CHECKPOINT_PATH,
    "/tmp/finalize",
    f"{CHECKPOINT_PATH}/{FOLDER}",
    f"{LOOKS_PATH}/{LOOKS_FILE}",
    f"{CHECKPOINT_PATH}/retrained",
)
"""Inside the Pod. What the candidates predict may be many gigabytes: it is no checkpoint, and ends with the Pod."""


def arguments(wanted: Wanted, places: Places) -> list[str]:
    """Of ``python -m hpo_trainer.final``."""
    given = {name: getattr(places, name) for name in ("data", "checkpoints", "work", "out")}
    given |= {"tolerance": f"{wanted.tolerance:g}"}
    if wanted.look:
        given["looks"] = places.looks
    if wanted.folds is not None:
        given |= {"retrained": places.retrained, "folds": str(wanted.folds)}
    return [f"--{name}={value}" for name, value in given.items()]


def final_manifest(study: Study, request: Mapping[str, Any], wanted: Wanted, settings: PodSettings) -> Manifest:
    """The study must have a checkpoint volume and a built-in task; it has the resources of one of its trials."""
    trainer = study.spec.trainer
    assert trainer.data is not None and trainer.checkpoints is not None  # the caller's to know
    data, data_mount = data_volume(trainer.data)
    scratch = scratch_volumes()
    mounts = [
        data_mount,
        checkpoint_mount(trainer.checkpoints, study.uid, CHECKPOINT_PATH),
        checkpoint_mount(trainer.checkpoints, LOOKS_FOLDER, LOOKS_PATH),
    ]
    mounts += [{"name": volume["name"], "mountPath": path} for path, volume in scratch.items()]
    container = {
        "name": "final",
        **trainer_image(study, settings),
        "command": ["python", "-m", "hpo_trainer.final"],
        "args": arguments(wanted, PLACES),
        "env": _environment(request, whole_cpus(trainer.resources.dump().get("limits") or {})),
        "resources": trainer.resources.dump(),
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }
    spec = {
        "containers": [container],
        "volumes": [data, checkpoint_volume(trainer.checkpoints), *scratch.values()],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": trainer.termination_grace_period_seconds,
    }
    return _pod(study, names.final_name(study.name), spec)


def fetch_manifest(study: Study, settings: PodSettings) -> Manifest:
    """It waits for whoever reads, and reads nothing but the study's folder."""
    volume = study.spec.trainer.checkpoints
    assert volume is not None  # the caller's to know
    container = {
        "name": "fetch",
        **trainer_image(study, settings),
        "command": ["sleep", str(DEADLINE_SECONDS)],
        "resources": {"requests": AMOUNTS, "limits": AMOUNTS},
        "volumeMounts": [checkpoint_mount(volume, study.uid, CHECKPOINT_PATH) | {"readOnly": True}],
    }
    spec = {
        "containers": [container],
        "volumes": [checkpoint_volume(volume)],
        "restartPolicy": "Never",
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        "terminationGracePeriodSeconds": 1,  # a process that only sleeps heeds no SIGTERM
    }
    return _pod(study, names.fetch_name(study.name), spec)


def final_folder(study_uid: str, volume: Volume) -> str:
    """Of the model, on the volume."""
    return "/".join(part for part in (volume.sub_path, study_uid, FOLDER) if part)


def asked(pod: Mapping[str, Any]) -> tuple[list[str], Any]:
    """What a Pod was told: its arguments, and its candidates. What else stands in the request is for the card."""
    container = pod["spec"]["containers"][0]
    given = {entry["name"]: entry.get("value", "") for entry in container.get("env") or []}
    request = json.loads(given.get(REQUEST, "{}").replace("$$", "$"))
    return list(container.get("args") or []), {key: request[key] for key in request if key != "study"}


def _environment(request: Mapping[str, Any], threads: int | None) -> list[Manifest]:
    """A dollar sign is doubled, since Kubernetes would expand it."""
    values = {REQUEST: json.dumps(request, sort_keys=True).replace("$", "$$"), "LOGNAME": "hpo"}
    if threads is not None:
        values["OMP_NUM_THREADS"] = str(threads)
    return [{"name": name, "value": value} for name, value in values.items()]


def _pod(study: Study, name: str, spec: Manifest) -> Manifest:
    if study.spec.trainer.node_selector:
        spec |= {"nodeSelector": study.spec.trainer.node_selector}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": study.namespace,
            "labels": names.common_labels(study.name) | {names.FINAL_LABEL: study.name},
            "ownerReferences": [names.owner_reference("HPOStudy", study.name, study.uid)],
        },
        "spec": restricted(spec),
    }
