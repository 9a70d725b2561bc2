"""The Pod that deletes checkpoints of ended trials: the operator itself has no access to volumes.

It sees the study's folder of the checkpoint volume and nothing else, and runs as the user that wrote there.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from hpo_operator.api.study import Study
from hpo_operator.manifests import names
from hpo_operator.manifests.pod import (
    CHECKPOINT_PATH,
    TERMINATION_LOG,
    Manifest,
    PodSettings,
    checkpoint_mount,
    checkpoint_volume,
    restricted,
    trainer_image,
)

PLACEMENT = ("nodeSelector", "affinity", "tolerations", "imagePullSecrets", "priorityClassName", "securityContext")
"""What a template says about where and as whom its Pods run."""
DEADLINE_SECONDS = 3600
AMOUNTS = {"cpu": "100m", "memory": "128Mi"}


def cleaner_manifest(study: Study, trials: Sequence[str], settings: PodSettings) -> Manifest:
    """The Pod that empties the checkpoint folders of ``trials``. The study must have a checkpoint volume."""
    volume = study.spec.trainer.checkpoints
    assert volume is not None  # the caller's to know
    container = {
        "name": "cleaner",
        **trainer_image(study, settings),
        "command": ["python", "-m", "hpo_trainer.clean"],
        "args": list(trials),
        "env": [{"name": "HPO_CHECKPOINT_DIR", "value": CHECKPOINT_PATH}],
        "resources": {"requests": AMOUNTS, "limits": AMOUNTS},
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [checkpoint_mount(volume, study.uid, CHECKPOINT_PATH)],
    }
    spec = _placement(study) | {
        "containers": [container],
        "volumes": [checkpoint_volume(volume)],
        "restartPolicy": "Never",
        "activeDeadlineSeconds": DEADLINE_SECONDS,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": names.cleaner_name(study.name),
            "namespace": study.namespace,
            "labels": names.common_labels(study.name),
            "ownerReferences": [names.owner_reference("HPOStudy", study.name, study.uid)],
        },
        "spec": restricted(spec),
    }


def cleaned_trials(pod: Mapping[str, Any]) -> frozenset[str]:
    """Names of the trials that a cleaner was told to clean."""
    return frozenset(pod["spec"]["containers"][0].get("args") or [])


def _placement(study: Study) -> Manifest:
    trainer = study.spec.trainer
    given = (trainer.pod_template or {}).get("spec") or {}
    found = {key: copy.deepcopy(given[key]) for key in PLACEMENT if key in given}
    if trainer.node_selector:
        found["nodeSelector"] = (found.get("nodeSelector") or {}) | trainer.node_selector
    return found
