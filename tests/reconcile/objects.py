"""Objects as an API server holds them, for tests of the pure layers."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from hpo_operator.manifests.pod import PodSettings

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SETTINGS = PodSettings("registry.example/hpo-trainer:1")

STUDY: dict[str, Any] = {
    "apiVersion": "hpo.study/v1alpha1",
    "kind": "HPOStudy",
    "metadata": {"name": "demo", "namespace": "lab", "uid": "study-uid", "generation": 1},
    "spec": {
        "objective": {"metric": "dice", "direction": "Maximize"},
        "parameters": [
            {"name": "learningRate", "float": {"min": 1e-4, "max": 0.1, "scale": "Log"}},
            {"name": "depth", "int": {"min": 2, "max": 4}},
        ],
        "algorithm": {"sampler": {"type": "Sobol"}},
        "budget": {"trials": 4, "parallelism": 2},
        "trainer": {"segmentation": {}, "data": {"claimName": "mri"}, "resources": {"limits": {"nvidia.com/gpu": 2}}},
    },
}


def study(**spec: Any) -> dict[str, Any]:
    """The study with sections of its spec replaced."""
    made = copy.deepcopy(STUDY)
    made["spec"].update(copy.deepcopy(spec))
    return made


def trial(index: int = 0, status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A trial of the study."""
    made: dict[str, Any] = {
        "apiVersion": "hpo.study/v1alpha1",
        "kind": "HPOTrial",
        "metadata": {
            "name": f"demo-{index}",
            "namespace": "lab",
            "uid": f"trial-{index}",
            "generation": 1,
            "ownerReferences": [{"kind": "HPOStudy", "name": "demo", "uid": "study-uid", "controller": True}],
        },
        "spec": {"study": "demo", "index": index, "parameters": {"learningRate": "0.01", "depth": "3"}} | spec,
    }
    return made | ({"status": status} if status else {})


def pod(name: str = "demo-0-r0-a0", phase: str = "Running", **changes: Any) -> dict[str, Any]:
    """A Pod of a trial. ``terminated``, ``waiting``, ``running`` are container states; the rest is status."""
    state = {key: changes.pop(key) for key in ("terminated", "waiting", "running") if key in changes}
    meta: dict[str, Any] = {"name": name, "namespace": "lab"}
    if changes.pop("deleting", False):
        meta["deletionTimestamp"] = "2026-03-01T11:59:00Z"
    statuses = [{"name": "trainer", "state": state}] if state else []
    return {
        "metadata": meta,
        "spec": {"containers": [{"name": "trainer"}]},
        "status": {"phase": phase, "containerStatuses": statuses} | changes,
    }


def ended(code: int, message: str = "", **more: Any) -> dict[str, Any]:
    """The state of a container that ended after an hour."""
    times = {"startedAt": "2026-03-01T10:00:00Z", "finishedAt": "2026-03-01T11:00:00Z"}
    return {"exitCode": code, "message": message} | times | more


def measured(value: object = 0.9, metric: str = "dice") -> str:
    """A measurement line."""
    return json.dumps({"hpo": "measurement", "metrics": {metric: value}, "resource": 9, "seconds": 12.5})
