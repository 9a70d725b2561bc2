"""Studies that cannot go on, on a real API server with a real scheduler: each says within half a minute why."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import pytest
import yaml

from stand.control_plane import ControlPlane
from stand.studies import Studies, toy_study

pytestmark = pytest.mark.cluster

CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "unbound"},
    "spec": {
        "accessModes": ["ReadOnlyMany"],
        "resources": {"requests": {"storage": "1Pi"}},
        "storageClassName": "none",
    },
}


LOST_CLAIM = CLAIM | {"metadata": {"name": "lost", "finalizers": ["example.com/still-used"]}}
SILENT_NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "silent", "labels": {"moon": "dark-side"}},
    "status": {
        "capacity": {"cpu": "8", "memory": "32Gi", "pods": "10"},
        "conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}],
    },
}
"""No kubelet speaks for it."""


def volume(claim: str) -> dict[str, Any]:
    return {"volumes": [{"name": "extra", "persistentVolumeClaim": {"claimName": claim}}]}


def limits(**amounts: str) -> dict[str, Any]:
    return {"resources": {"limits": amounts}}


CAUSES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "no-gpu": ("NoFreeGPU", {}, {"resources": {"limits": {"nvidia.com/gpu": "1000"}}}),
    "no-cpu": ("NoFreeResources", {}, {"resources": {"requests": {"cpu": "9000"}}}),
    "no-node": ("NoMatchingNode", {"nodeSelector": {"moon": "base"}}, {}),
    "no-claim": ("ClaimMissing", volume("absent"), {}),
    "unbound": ("ClaimUnbound", volume("unbound"), {}),
    "lost": ("ClaimLost", volume("lost"), {}),
    "no-scheduler": ("NotScheduled", {"schedulerName": "absent"}, {}),
    "no-command": ("ImagePullFailed", {}, {"command": []}),
    "no-class": ("PriorityClassMissing", {"priorityClassName": "absent"}, {}),
    "no-account": ("ServiceAccountMissing", {"serviceAccountName": "absent"}, {}),
}
"""Study -> its reason, what is changed in the template's spec, and in its container."""


def stalled_study(name: str, spec: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
    study = toy_study(name, trials=2)
    template = study["spec"]["trainer"]["podTemplate"]["spec"]
    template |= spec
    template["containers"][0] |= container
    return study


def expect(studies: Studies, name: str, reason: str) -> None:
    """Condition, column and event; the condition within half a minute of the study's creation and a little for load."""
    studies.kubectl("wait", "--for=condition=Progressing=false", f"hpo/{name}", "--timeout=90s")
    study = studies.get("hpostudies", name)
    (progressing,) = [c for c in study["status"]["conditions"] if c["type"] == "Progressing"]
    assert progressing["reason"] == reason, progressing["message"]
    assert reason in studies.kubectl("get", "hpo", name)
    told = datetime.fromisoformat(progressing["lastTransitionTime"])
    assert (told - datetime.fromisoformat(study["metadata"]["creationTimestamp"])).total_seconds() < 60
    deadline = time.monotonic() + 30
    while reason not in [r for r, _ in studies.events(name)]:
        assert time.monotonic() < deadline, studies.events(name)
        time.sleep(0.2)


def test_every_cause_that_a_scheduler_or_admission_knows(studies: Studies) -> None:
    documents = yaml.safe_dump_all([CLAIM, LOST_CLAIM])
    studies.plane.kubectl("-n", studies.namespace, "apply", "-f", "-", input_text=documents)
    studies.kubectl("delete", "pvc", "lost", "--wait=false")
    for name, (_, spec, container) in CAUSES.items():
        studies.apply(stalled_study(name, spec, container))
    for name, (reason, _, _) in CAUSES.items():
        expect(studies, name, reason)


def test_the_node_that_fits_is_not_ready(studies: Studies) -> None:
    studies.plane.kubectl("apply", "-f", "-", input_text=yaml.safe_dump(SILENT_NODE))
    studies.apply(stalled_study("not-ready", {"nodeSelector": {"moon": "dark-side"}}, {}))
    expect(studies, "not-ready", "NodesNotReady")
    studies.plane.kubectl("delete", "node", "silent")


@pytest.mark.parametrize(
    ("reason", "kind", "spec"),
    [
        ("QuotaExceeded", "ResourceQuota", {"hard": {"pods": "0"}}),
        ("QuotaNeedsLimits", "ResourceQuota", {"hard": {"limits.memory": "1Gi"}}),
        ("LimitRangeExceeded", "LimitRange", {"limits": [{"type": "Container", "max": {"cpu": "1m"}}]}),
    ],
)
def test_what_a_namespace_forbids(
    studies: Studies, control_plane: ControlPlane, reason: str, kind: str, spec: dict[str, Any]
) -> None:
    document = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "limit"}, "spec": spec}
    control_plane.kubectl("-n", studies.namespace, "apply", "-f", "-", input_text=json.dumps(document))
    container = {"resources": {"limits": {"cpu": "1"}}} if kind == "LimitRange" else {}
    if kind == "ResourceQuota":  # the quota is in force once it has a status
        control_plane.wait_until(
            lambda: "hard" in json.loads(studies.kubectl("get", "resourcequota", "limit", "-o", "json"))["status"],
            "the quota is not in force",
        )
    studies.apply(stalled_study("forbidden", {}, container))
    expect(studies, "forbidden", reason)
