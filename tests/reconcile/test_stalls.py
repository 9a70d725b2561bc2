"""Why nothing moves: the words of schedulers, kubelets and admission, old and new, and what a user is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hpo_operator.reconcile.stalls import why_refused, why_waiting
from reconcile.objects import pod
from reconcile.simulation import Raw, SimulatedCluster
from reconcile.studies import assert_ended, conditions, event_reasons, made

SCHEDULER = {
    'persistentvolumeclaim "data" not found': "ClaimMissing",
    '0/3 nodes are available: persistentvolumeclaim "data" not found.': "ClaimMissing",
    'persistentvolumeclaim "data" is being deleted': "ClaimLost",
    "pod has unbound immediate PersistentVolumeClaims": "ClaimUnbound",
    "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: not eligible": "ClaimUnbound",
    "no nodes available to schedule pods": "NoNodes",
    "0/4 nodes are available: 4 node(s) had volume node affinity conflict.": "VolumeElsewhere",
    "0/4 nodes are available: 4 Insufficient nvidia.com/gpu.": "NoFreeGPU",
    "0/4 nodes are available: 1 Insufficient amd.com/gpu, 3 node(s) had taints that the pod didn't tolerate.": "NoFreeGPU",
    "0/2 nodes are available: 2 Insufficient nvidia.com/mig-1g.10gb.": "NoFreeGPU",
    "0/1 nodes are available: 1 node(s) had taint {gpu: true}, that the pod didn't tolerate.": "NodeTaint",
    "0/1 nodes are available: 1 node(s) had untolerated taint {nvidia.com/gpu: present}.": "NodeTaint",
    "0/1 nodes are available: 1 node(s) had taint {node.kubernetes.io/not-ready: }, that the pod didn't tolerate.": "NodesNotReady",
    "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }.": "NodesNotReady",
    "0/1 nodes are available: 1 node(s) didn't match node selector.": "NoMatchingNode",
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity.": "NoMatchingNode",
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.": "NoMatchingNode",
    "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.": "NoFreeResources",
    "0/4 nodes are available: 1 node(s) had untolerated taint {gpu: true}, 3 Insufficient memory.": "NoFreeResources",
    "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had taint {node.kubernetes.io/not-ready: }, that the pod didn't tolerate.": "NoFreeResources",
    "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 3 node(s) didn't match Pod's node affinity/selector.": "NoMatchingNode",
    "0/4 nodes are available: 2 node(s) didn't match node selector, 2 node(s) had taint {nvidia.com/gpu: }, that the pod didn't tolerate.": "NodeTaint",
    "0/1 nodes are available: 1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod didn't tolerate.": "NodeTaint",
    "0/1 nodes are available: 1 Too many pods.": "NoFreeResources",
    "0/1 nodes are available: 1 node(s) were unschedulable.": "NodesCordoned",
    "the moon is in the wrong phase": "Unschedulable",
}  # fmt: skip

ADMISSION = {
    'pods "s-0" is forbidden: exceeded quota: gpu, requested: requests.nvidia.com/gpu=1, used: 4, limited: 4': "QuotaExceeded",
    'pods "s-0" is forbidden: failed quota: compute: must specify limits.memory': "QuotaNeedsLimits",
    'pods "s-0" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true': "PodSecurityDenied",
    'pods "s-0" is forbidden: PodSecurityPolicy: unable to admit pod: []': "PodSecurityDenied",
    'admission webhook "validate.kyverno.svc-fail" denied the request: label team is required': "AdmissionDenied",
    'Internal error occurred: failed calling webhook "mutate.example": context deadline exceeded': "WebhookUnavailable",
    'pods "s-0" is forbidden: maximum cpu usage per Container is 1, but limit is 4': "LimitRangeExceeded",
    'pods "s-0" is forbidden: no PriorityClass with name urgent was found': "PriorityClassMissing",
    'pods "s-0" is forbidden: error looking up service account lab/robot: serviceaccount "robot" not found': "ServiceAccountMissing",
    'pods "s-0" is forbidden: unable to create new content in namespace lab because it is being terminated': "NamespaceTerminating",
    'pods is forbidden: User "system:serviceaccount:x:y" cannot create resource "pods" in API group ""': "PermissionDenied",
    "Pod is invalid: spec.containers[0].image: Required value": "PodRefused",
}  # fmt: skip

WAITING = {
    "ErrImagePull": "ImagePullFailed",
    "ImagePullBackOff": "ImagePullFailed",
    "ErrImageNeverPull": "ImagePullFailed",
    "InvalidImageName": "ImagePullFailed",
    "CreateContainerConfigError": "ConfigMissing",
    "CreateContainerError": "ContainerStartFailed",
    "RunContainerError": "ContainerStartFailed",
    "CrashLoopBackOff": "CrashLoop",
    "ContainerCreating": "ContainerCreating",
    "PodInitializing": "PodInitializing",
}


def unscheduled(message: str, reason: str = "Unschedulable") -> Raw:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return pod(phase="Pending", conditions=[condition])


@pytest.mark.parametrize(("message", "reason"), SCHEDULER.items())
def test_what_the_scheduler_says(message: str, reason: str) -> None:
    stall = why_waiting(unscheduled(message))
    assert stall.reason == reason
    assert message in stall.message


@pytest.mark.parametrize(("message", "reason"), ADMISSION.items())
def test_what_admission_says(message: str, reason: str) -> None:
    stall = why_refused(message)
    assert stall.reason == reason
    assert message in stall.message


@pytest.mark.parametrize(("said", "reason"), WAITING.items())
@pytest.mark.parametrize("init", [False, True])
def test_what_the_kubelet_says(said: str, reason: str, init: bool) -> None:
    raw = pod(phase="Pending")
    raw["spec"]["nodeName"] = "gpu-7"
    states: list[Any] = [{"name": "fetch", "state": {"waiting": {"reason": said, "message": "because"}}}]
    raw["status"]["initContainerStatuses" if init else "containerStatuses"] = states
    stall = why_waiting(raw)
    assert stall.reason == reason
    assert "because" in stall.message or "gpu-7" in stall.message


def test_a_queue_and_a_scheduler_that_says_nothing() -> None:
    gated = unscheduled("Scheduling is blocked due to non-empty scheduling gates", reason="SchedulingGated")
    gated["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
    assert why_waiting(gated).reason == "Queued"
    assert "kueue.x-k8s.io/admission" in why_waiting(gated).message
    assert why_waiting(pod(phase="Pending")).reason == "NotScheduled"


# --- what becomes of it in the study

GPUS = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."


def stuck(parallelism: int = 2) -> SimulatedCluster:
    """All Pods wait for GPUs."""
    cluster = SimulatedCluster(made(4, parallelism))
    cluster.settle()
    for raw in cluster.pods.values():
        raw["status"] = unscheduled(GPUS)["status"]
    cluster.settle()
    return cluster


def test_a_stall_is_told_once_within_half_a_minute() -> None:
    cluster = stuck()
    assert (cluster.status["reason"], conditions(cluster)["Progressing"]) == ("NoFreeGPU", "True")
    assert "NoFreeGPU" not in event_reasons(cluster)
    wake_at = cluster.settle().wake_at
    assert wake_at is not None and wake_at - cluster.now <= timedelta(seconds=30)
    cluster.now = wake_at
    cluster.settle()
    assert conditions(cluster)["Progressing"] == "False"
    assert cluster.status["message"].startswith("2 of 2 trials: all GPUs are taken")
    cluster.now += timedelta(minutes=5)
    cluster.settle()
    assert event_reasons(cluster).count("NoFreeGPU") == 1


def test_a_stall_that_is_over_is_forgotten() -> None:
    cluster = stuck()
    cluster.now += timedelta(minutes=1)
    cluster.settle()
    cluster.start_pods()
    cluster.settle()
    assert (cluster.status["reason"], conditions(cluster)["Progressing"]) == ("TrialsRunning", "True")
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")


def test_while_something_trains_it_is_no_stall() -> None:
    cluster = stuck()
    name = next(iter(cluster.pods))
    waiting = cluster.pods.pop(name)
    cluster.start_pods()
    cluster.pods[name] = waiting
    cluster.now += timedelta(minutes=5)
    cluster.settle()
    assert (cluster.status["reason"], conditions(cluster)["Progressing"]) == ("TrialsRunning", "True")


def test_a_pod_that_does_not_end_is_named() -> None:
    cluster = SimulatedCluster(made(2, 1))
    cluster.settle()
    cluster.start_pods()
    cluster.settle()
    gone_by = cluster.now + timedelta(seconds=30)
    cluster.pods["demo-0-r0-a0"]["metadata"]["deletionTimestamp"] = gone_by.strftime("%Y-%m-%dT%H:%M:%SZ")
    cluster.settle()
    assert cluster.status["reason"] == "TrialsRunning"
    cluster.now = gone_by + timedelta(seconds=61)
    cluster.settle()
    assert (cluster.status["reason"], conditions(cluster)["Progressing"]) == ("TerminationStuck", "False")
    assert "kubectl delete pod --force demo-0-r0-a0" in cluster.status["message"]
