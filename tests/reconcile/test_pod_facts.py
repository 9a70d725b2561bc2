"""The truth table of Pods: every way in which one can stand or end, and what it means for its trial.

Rows: phase and container state -> state, reason. What is charged to the trial is FAILED; INTERRUPTED never is.
"""

from __future__ import annotations

from typing import Any

import pytest

from hpo_operator.reconcile.pod_facts import PodState, gpu_count, read_pod
from reconcile.objects import ended, pod

DISRUPTED: dict[str, Any] = {
    "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]
}

ROWS: dict[str, tuple[dict[str, Any], PodState, str]] = {
    "just created": (pod(phase="Pending"), PodState.WAITING, "NotScheduled"),
    "no node": (
        pod(
            phase="Pending",
            conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}],
        ),
        PodState.WAITING,
        "Unschedulable",
    ),
    "no image": (pod(phase="Pending", waiting={"reason": "ImagePullBackOff"}), PodState.WAITING, "ImagePullFailed"),
    "creating": (pod(phase="Pending", waiting={"reason": "ContainerCreating"}), PodState.WAITING, "NotScheduled"),
    "training": (pod(running={"startedAt": "2026-03-01T11:00:00Z"}), PodState.RUNNING, "Training"),
    "being deleted": (pod(running={}, deleting=True), PodState.TERMINATING, "Terminating"),
    "deleted before it started": (pod(phase="Pending", deleting=True), PodState.TERMINATING, "Terminating"),
    "finished": (pod(phase="Succeeded", terminated=ended(0)), PodState.SUCCEEDED, "Completed"),
    "finished while being deleted": (
        pod(phase="Succeeded", terminated=ended(0), deleting=True),
        PodState.SUCCEEDED,
        "Completed",
    ),
    "interrupted": (pod(phase="Failed", terminated=ended(75)), PodState.INTERRUPTED, "Interrupted"),
    "bad data": (pod(phase="Failed", terminated=ended(65)), PodState.FAILED, "BadData"),
    "bad config": (pod(phase="Failed", terminated=ended(78)), PodState.FAILED, "BadConfig"),
    "CUDA out of memory": (pod(phase="Failed", terminated=ended(80)), PodState.FAILED, "OutOfMemory"),
    "diverged": (pod(phase="Failed", terminated=ended(81)), PodState.FAILED, "Diverged"),
    "out of memory while being deleted": (
        pod(phase="Failed", terminated=ended(80), deleting=True),
        PodState.FAILED,
        "OutOfMemory",
    ),
    "killed for memory": (
        pod(phase="Failed", terminated=ended(137, reason="OOMKilled")),
        PodState.FAILED,
        "OutOfMemory",
    ),
    "killed by deletion": (
        pod(phase="Failed", terminated=ended(137), deleting=True),
        PodState.INTERRUPTED,
        "PodDeleted",
    ),
    "killed, nobody knows why": (pod(phase="Failed", terminated=ended(137)), PodState.FAILED, "Error"),
    "crashed": (pod(phase="Failed", terminated=ended(1)), PodState.FAILED, "Error"),
    "evicted": (pod(phase="Failed", terminated=ended(137), reason="Evicted"), PodState.INTERRUPTED, "Evicted"),
    "evicted before it started": (pod(phase="Failed", reason="Evicted"), PodState.INTERRUPTED, "Evicted"),
    "preempted": (
        pod(phase="Failed", terminated=ended(143), **DISRUPTED),
        PodState.INTERRUPTED,
        "PreemptionByScheduler",
    ),
    "node shut down": (
        pod(phase="Failed", terminated=ended(143), reason="NodeShutdown"),
        PodState.INTERRUPTED,
        "NodeShutdown",
    ),
    "node lost": (
        pod(phase="Failed", terminated=ended(137, reason="ContainerStatusUnknown")),
        PodState.INTERRUPTED,
        "NodeLost",
    ),
}


@pytest.mark.parametrize(("raw", "state", "reason"), ROWS.values(), ids=list(ROWS))
def test_truth_table(raw: dict[str, Any], state: PodState, reason: str) -> None:
    facts = read_pod(raw)
    assert (facts.state, facts.reason) == (state, reason)


def test_only_the_trainer_container_counts() -> None:
    raw = pod(phase="Running")
    raw["spec"]["containers"] = [{"name": "proxy"}, {"name": "trainer"}]
    raw["status"]["containerStatuses"] = [
        {"name": "proxy", "state": {"running": {}}},
        {"name": "trainer", "state": {"terminated": ended(0)}},
    ]
    assert read_pod(raw).state is PodState.SUCCEEDED


def test_gpus_of_any_vendor_are_counted_over_all_containers() -> None:
    limits = [{"nvidia.com/gpu": 2, "cpu": "4"}, {"amd.com/gpu": "1"}, {}]
    assert gpu_count({"containers": [{"resources": {"limits": entry}} for entry in limits]}) == 3
