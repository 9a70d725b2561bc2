"""Why a Pod does not start: one word, and a sentence that says what to do, before the cluster's own words.

The words of schedulers, kubelets and admission differ between versions: those of 1.20 are met by the tests on a real API
server, newer ones are known by their wording alone. What no pattern knows keeps the cluster's own reason and words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Stall:
    """``reason``: for programs, and the column of ``kubectl get``. ``message``: for people."""

    reason: str
    message: str


@dataclass(frozen=True)
class _Cause:
    reason: str
    pattern: str
    advice: str


UNSCHEDULABLE = (
    _Cause("ClaimMissing", r'persistentvolumeclaim "[^"]*" not found', "create the claim, or correct its name in the study"),
    _Cause("ClaimLost", r'persistentvolumeclaim "[^"]*" (bound to non-existent|is being deleted)', "its volume is gone; restore it"),
    _Cause("ClaimUnbound", r"unbound immediate PersistentVolumeClaims", "no volume fits the claim: is there a storage class?"),
    _Cause("NoNodes", r"no nodes available|^0/0 nodes", "the cluster has no node"),
    _Cause("VolumeElsewhere", r"volume node affinity conflict|volume zone", "the claim's volume is not reachable from nodes that fit"),
    _Cause("NoFreeGPU", r"Insufficient \S*/(gpu|mig-\S+)", "all GPUs are taken, or no node has as many: wait, or ask for fewer"),
    _Cause("NoFreeResources", r"Insufficient \S+|Too many pods", "ask for less, or wait until other Pods end"),
    _Cause("NodesNotReady", r"taint \S*node\.kubernetes\.io/(not-ready|unreachable)", "the nodes that fit do not answer"),
    _Cause("NodeTaint", r"taint \{(?!node-role\.kubernetes\.io/)", "add the taint's toleration to a podTemplate, or free other nodes"),
    _Cause("NoMatchingNode", r"node selector|Pod.s node affinity", "no node has the labels of nodeSelector"),
    _Cause("NodesCordoned", r"unschedulable", "the nodes that fit are cordoned or not ready"),
    _Cause("NodeTaint", r"taint", "only nodes of the control plane are left: add a node, or tolerate their taint in a podTemplate"),
)  # fmt: skip
"""Of several causes in one message the first counts: what must be mended before the others matter.

A message counts the nodes by what each fails first. Schedulers of our day look at room last: a node without room fits
otherwise. Nodes of the control plane are tainted everywhere, which says nothing while there are others.
"""

REFUSED = (
    _Cause("QuotaExceeded", r"exceeded quota", "lower parallelism or resources, or raise the quota; asked for again soon"),
    _Cause("QuotaNeedsLimits", r"failed quota", "the namespace's quota wants requests or limits for these resources"),
    _Cause("PodSecurityDenied", r"violates PodSecurity|PodSecurityPolicy", "the template asks for more than the namespace allows"),
    _Cause("AdmissionDenied", r"admission webhook .* denied", "a policy of this cluster forbids the Pod"),
    _Cause("WebhookUnavailable", r"failed calling webhook|failed to call webhook", "an admission webhook does not answer"),
    _Cause("LimitRangeExceeded", r"(maximum|minimum) \S+ usage per|limit to request ratio", "resources outside the namespace's LimitRange"),
    _Cause("PriorityClassMissing", r"no PriorityClass with name", "create the class, or correct its name"),
    _Cause("ServiceAccountMissing", r"error looking up service account|serviceaccount .* not found", "create the service account"),
    _Cause("NamespaceTerminating", r"is being terminated", "the namespace is being deleted"),
    _Cause("PermissionDenied", r"cannot create resource", "the operator's role lacks the right to create Pods here"),
)  # fmt: skip

CONTAINERS = {
    "ErrImagePull": ("ImagePullFailed", "is the image's name right, and the registry's secret there?"),
    "ImagePullBackOff": ("ImagePullFailed", "is the image's name right, and the registry's secret there?"),
    "ErrImageNeverPull": ("ImagePullFailed", "the image is not on the node, and may not be pulled"),
    "InvalidImageName": ("ImagePullFailed", "the image's name is none"),
    "CreateContainerConfigError": ("ConfigMissing", "a Secret or ConfigMap of the template is missing, or its user is root"),
    "CreateContainerError": ("ContainerStartFailed", "the runtime could not create the container"),
    "RunContainerError": ("ContainerStartFailed", "the runtime could not start the container: does its command exist?"),
    "CrashLoopBackOff": ("CrashLoop", "a container of the template ends again and again"),
}  # fmt: skip


def why_waiting(pod: Raw) -> Stall:
    """What keeps the Pod, an API object of which no trainer runs yet, from starting."""
    status: Raw = pod.get("status") or {}
    waiting = _waiting(status)
    for entry in waiting:
        if entry.get("reason") in CONTAINERS:
            reason, advice = CONTAINERS[entry["reason"]]
            return _told(reason, advice, entry.get("message") or entry["reason"])
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _unscheduled(condition, pod)
    node = (pod.get("spec") or {}).get("nodeName")
    if not node:
        return Stall("NotScheduled", "no scheduler has looked at the Pod yet: does one run?")
    reason = next((entry["reason"] for entry in waiting if entry.get("reason")), "Pending")
    if reason == "PodInitializing":
        return Stall(reason, f"its init containers run on {node}")
    said = next((entry["message"] for entry in waiting if entry.get("message")), "")
    what = f"its image, its volumes or its network are being prepared on {node}"
    return Stall(reason, f"{what}: {said}" if said else what)


def why_refused(message: str) -> Stall:
    """What the API server meant when it did not take the Pod."""
    return _first(REFUSED, message) or Stall("PodRefused", message)


def _unscheduled(condition: Raw, pod: Raw) -> Stall:
    message, reason = condition.get("message") or "", condition.get("reason") or "Unschedulable"
    if reason == "SchedulingGated":
        gates = [str(gate.get("name")) for gate in (pod.get("spec") or {}).get("schedulingGates") or []]
        return Stall("Queued", f"waits to be admitted: scheduling gate {', '.join(gates) or 'of a queue'}")
    return _first(UNSCHEDULABLE, message) or Stall(reason, message)


def _first(causes: tuple[_Cause, ...], message: str) -> Stall | None:
    for cause in causes:
        if re.search(cause.pattern, message):
            return _told(cause.reason, cause.advice, message)
    return None


def _told(reason: str, advice: str, message: str) -> Stall:
    return Stall(reason, f"{advice} ({message})")


def _waiting(status: Raw) -> list[Raw]:
    """The waiting states of all containers, init containers first: one that does not start holds up the others."""
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    states = [(container.get("state") or {}).get("waiting") for container in containers]
    return [state for state in states if state]
