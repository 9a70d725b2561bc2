"""The Pod of one attempt at one rung of a trial: a plain dict, made from the study and the trial alone.

Every Pod meets the *restricted* Pod security standard and holds no API token. What the container is told stands in
docs/trainer-contract.md.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo_operator.api import engine_study
from hpo_operator.api.pod_template import trainer_index
from hpo_operator.api.study import Study, Volume
from hpo_operator.api.trial import HpoTrial
from hpo_operator.manifests import names

METRICS_PORT = 9464
DATA_PATH = "/data"
CHECKPOINT_PATH = "/checkpoints"
TERMINATION_LOG = "/dev/termination-log"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class PodSettings:
    """What the installation decides about trial Pods."""

    trainer_image: str
    image_pull_policy: str = "IfNotPresent"


def pod_manifest(study: Study, trial: HpoTrial, settings: PodSettings) -> Manifest:
    """The Pod for ``trial``'s present rung and attempt."""
    template = (
        _task_template(study, settings)
        if study.spec.trainer.task
        else copy.deepcopy(study.spec.trainer.pod_template or {})
    )
    name = names.pod_name(trial.name, trial.spec.rung, trial.status.attempt)
    given = template.get("metadata") or {}
    labels = {names.TRIAL_LABEL: trial.name, names.RUNG_LABEL: str(trial.spec.rung)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": study.namespace,
            "labels": (given.get("labels") or {}) | names.common_labels(study.name) | labels,
            "annotations": given.get("annotations") or {},
            "ownerReferences": [names.owner_reference("HPOTrial", trial.name, trial.uid)],
        },
        "spec": restricted(_with_contract(template["spec"], study, trial)),
    }


def trial_seed(study_seed: int, index: int) -> int:
    """The trainer's seed: 0 <= seed < 2^31, fixed by the study's seed and the trial's number."""
    digest = hashlib.sha256(f"trainer/{study_seed}/{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 2**31


def _task_template(study: Study, settings: PodSettings) -> Manifest:
    container = {
        "name": "trainer",
        **trainer_image(study, settings),
        "command": ["python", "-m", "hpo_trainer"],
        "resources": study.spec.trainer.resources.dump(),
    }
    return {"spec": {"containers": [container]}}


def trainer_image(study: Study, settings: PodSettings) -> Manifest:
    """A container's image and when it is pulled, of a built-in task."""
    trainer = study.spec.trainer
    return {
        "image": trainer.image or settings.trainer_image,
        "imagePullPolicy": trainer.image_pull_policy or settings.image_pull_policy,
    }


def _with_contract(spec: Manifest, study: Study, trial: HpoTrial) -> Manifest:
    """The template's Pod spec with the environment, the volumes and the port that the contract promises."""
    trainer = study.spec.trainer
    containers = spec["containers"]
    container = containers[trainer_index(containers)]
    limits = (container.get("resources") or {}).get("limits") or {}
    container["env"] = [*_environment(study, trial, whole_cpus(limits)), *(container.get("env") or [])]
    container["terminationMessagePath"] = TERMINATION_LOG
    port = {"name": "hpo-metrics", "containerPort": METRICS_PORT, "protocol": "TCP"}
    container["ports"] = [*(container.get("ports") or []), port]
    volumes, mounts = _volumes(study, trial)
    taken = {str(mount.get("mountPath", "")).rstrip("/") for mount in container.get("volumeMounts") or []}
    for path, volume in scratch_volumes().items():
        if path not in taken:  # a template may bring its own, such as a larger /dev/shm
            volumes.append(volume)
            mounts.append({"name": volume["name"], "mountPath": path})
    container["volumeMounts"] = [*(container.get("volumeMounts") or []), *mounts]
    spec["volumes"] = [*(spec.get("volumes") or []), *volumes]
    spec["restartPolicy"] = "Never"
    spec.setdefault("terminationGracePeriodSeconds", trainer.termination_grace_period_seconds)
    if trainer.node_selector:
        spec["nodeSelector"] = (spec.get("nodeSelector") or {}) | trainer.node_selector
    return spec


def _environment(study: Study, trial: HpoTrial, threads: int | None) -> list[Manifest]:
    """Literal values: a dollar sign of the user's is doubled, since Kubernetes would expand it."""
    spec = study.spec
    values = engine_study.from_text(spec, trial.spec.parameters)
    env = {
        "HPO_STUDY": study.name,
        "HPO_TRIAL": trial.name,
        "HPO_TRIAL_INDEX": str(trial.spec.index),
        "HPO_PARAMETERS": json.dumps(values),
        **{f"HPO_PARAM_{name}": text for name, text in trial.spec.parameters.items()},
        "HPO_OBJECTIVE": spec.objective.metric,
        "HPO_SEED": str(trial_seed(spec.seed, trial.spec.index)),
    }
    if spec.fidelity is not None:
        env |= {"HPO_RESOURCE_NAME": spec.fidelity.resource, "HPO_RESOURCE": str(trial.spec.resource)}
    if spec.trainer.task is not None:
        task, config = spec.trainer.task
        env |= {"HPO_TASK": task, "HPO_CONFIG": json.dumps(config.dump())}
    if spec.trainer.data is not None:
        env["HPO_DATA_DIR"] = DATA_PATH
    if threads is not None:
        env["HPO_THREADS"] = str(threads)
    env |= {
        "HPO_CHECKPOINT_DIR": CHECKPOINT_PATH,
        "HPO_METRICS_PORT": str(METRICS_PORT),
        "HPO_TERMINATION_LOG": TERMINATION_LOG,
        "LOGNAME": "hpo",  # MONAI asks for the user's name when it is imported, and a bare number has none
    }
    address = {"name": "HPO_METRICS_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    return [address, *({"name": name, "value": value.replace("$", "$$")} for name, value in env.items())]


def whole_cpus(limits: Mapping[str, int | float | str]) -> int | None:
    """CPUs that a trial may use, rounded down to at least 1; a container does not see its own limit."""
    number = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(m?)", str(limits.get("cpu", "")))
    if number is None:
        return None
    return max(1, int(float(number[1]) / (1000 if number[2] else 1)))


def scratch_volumes() -> dict[str, Manifest]:
    """Path -> volume of what is writable beside the checkpoints; data loaders share tensors through /dev/shm."""
    return {
        "/tmp": {"name": "hpo-tmp", "emptyDir": {}},
        "/dev/shm": {"name": "hpo-shm", "emptyDir": {"medium": "Memory"}},  # a container's own has 64 MiB
    }


def _volumes(study: Study, trial: HpoTrial) -> tuple[list[Manifest], list[Manifest]]:
    """Volumes of the Pod and their mounts in the container."""
    trainer = study.spec.trainer
    volumes: list[Manifest] = []
    mounts: list[Manifest] = []
    if trainer.data is not None:
        volume, mount = data_volume(trainer.data)
        volumes.append(volume)
        mounts.append(mount)
    volumes.append(checkpoint_volume(trainer.checkpoints))
    mounts.append(
        checkpoint_mount(trainer.checkpoints, names.checkpoint_folder(study.uid, trial.name), CHECKPOINT_PATH)
    )
    return volumes, mounts


def data_volume(volume: Volume) -> tuple[Manifest, Manifest]:
    """The Pod's volume and its mount."""
    claim = {"claimName": volume.claim_name, "readOnly": True}
    mount = {"name": "hpo-data", "mountPath": DATA_PATH, "readOnly": True} | _sub_path(volume.sub_path)
    return {"name": "hpo-data", "persistentVolumeClaim": claim}, mount


def checkpoint_volume(volume: Volume | None) -> Manifest:
    """Without a claim a folder that ends with the Pod."""
    claimed = volume and {"persistentVolumeClaim": {"claimName": volume.claim_name}}
    return {"name": "hpo-checkpoints"} | (claimed or {"emptyDir": {}})


def checkpoint_mount(volume: Volume | None, folder: str, path: str) -> Manifest:
    """``folder``: of the volume, and nothing else of it, at ``path``."""
    inside = "/".join(part for part in (volume.sub_path if volume else "", folder) if part)
    return {"name": "hpo-checkpoints", "mountPath": path} | _sub_path(inside)


def _sub_path(path: str) -> Manifest:
    return {"subPath": path} if path else {}


def restricted(spec: Manifest) -> Manifest:
    """Meet the restricted profile; what a template says within it stays."""
    pod_context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}} | (
        spec.get("securityContext") or {}
    )
    pod_context.setdefault("runAsUser", 65532)
    pod_context.setdefault("runAsGroup", 65532)
    pod_context.setdefault("fsGroup", 65532)  # so that a fresh volume can be written to
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        context = {"readOnlyRootFilesystem": True} | (container.get("securityContext") or {})
        context |= {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        container["securityContext"] = context
    return spec | {"securityContext": pod_context, "automountServiceAccountToken": False, "enableServiceLinks": False}
