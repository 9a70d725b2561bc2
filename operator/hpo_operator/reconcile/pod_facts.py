"""What a Pod says about its trial, read once and put into one of six states. The truth table of failures is here.

pod                                        state         charged to the trial
---------------------------------------    -----------   ---------------------------
no container has started                   WAITING
running, not being deleted                 RUNNING
running, being deleted                     TERMINATING
exit 0                                     SUCCEEDED
exit 75; or ended while being deleted,     INTERRUPTED   no
  evicted, preempted, node lost
any other end, or rejected for good        FAILED        yes, by its exit code
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from hpo_operator.api.pod_template import trainer_index
from hpo_operator.reconcile.stalls import why_waiting

Raw = Mapping[str, Any]

EXIT_REASONS = {65: "BadData", 78: "BadConfig", 80: "OutOfMemory", 81: "Diverged"}
"""Documented exit codes of a trainer (docs/trainer-contract.md)."""
EXIT_INTERRUPTED = 75
DISRUPTIONS = (
    "Evicted",
    "NodeLost",
    "NodeShutdown",
    "Preempting",
    "Shutdown",
    "Terminated",
    "UnexpectedAdmissionError",
)
"""``status.reason`` of Pods that the cluster ended, not the program."""

REJECTIONS = ("PodOSNotSupported", "SysctlForbidden", "UnsupportedPod")
"""``status.reason`` of Pods that no second try would make acceptable."""


class PodState(Enum):
    WAITING = "Waiting"
    RUNNING = "Running"
    TERMINATING = "Terminating"
    SUCCEEDED = "Succeeded"
    INTERRUPTED = "Interrupted"
    FAILED = "Failed"


ENDED = (PodState.SUCCEEDED, PodState.INTERRUPTED, PodState.FAILED)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """``reason`` and ``message`` say why; times as text.

    ``since``: of a Pod that waits its creation, of one that is being deleted the time by which it should be gone.
    """

    name: str
    state: PodState
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    final_message: str = ""
    started: str | None = None
    finished: str | None = None
    since: str | None = None


def read_pod(pod: Raw) -> PodFacts:
    """The facts of one Pod object."""
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    containers = pod["spec"]["containers"]
    wanted = containers[trainer_index(containers)]["name"]
    container: Raw = next((c for c in status.get("containerStatuses") or [] if c.get("name") == wanted), {})
    state = container.get("state") or {}
    deleting = "deletionTimestamp" in pod["metadata"]
    if "terminated" in state:
        return _ended(name, pod, status, state["terminated"], deleting)
    if status.get("phase") in ("Failed", "Succeeded"):  # evicted before it started, or the node is gone
        reason = status.get("reason") or "PodFailed"
        state_then = PodState.FAILED if reason in REJECTIONS else PodState.INTERRUPTED
        return PodFacts(
            name, state_then, reason, status.get("message") or "the Pod ended without its container's state"
        )
    if "running" in state:
        started = state["running"].get("startedAt")
        if deleting:
            gone_by = pod["metadata"]["deletionTimestamp"]
            return PodFacts(name, PodState.TERMINATING, "Terminating", started=started, since=gone_by)
        return PodFacts(name, PodState.RUNNING, "Training", started=started)
    if deleting:
        return PodFacts(name, PodState.TERMINATING, "Terminating", since=pod["metadata"]["deletionTimestamp"])
    stall = why_waiting(pod)
    return PodFacts(name, PodState.WAITING, stall.reason, stall.message, since=pod["metadata"].get("creationTimestamp"))


def read_departed_pod(pod: Raw) -> PodFacts:
    """The facts of a Pod that is gone, as it was last seen: how it ended, or that it was interrupted by this."""
    facts = read_pod(pod)
    if facts.state in ENDED:
        return facts
    return replace(facts, state=PodState.INTERRUPTED, reason="PodDeleted", message="the Pod is gone", since=None)


def gpu_count(pod_spec: Raw) -> int:
    """Whole GPUs that the Pod holds: resources named ``<vendor>/gpu`` under limits, over all containers."""
    total = 0
    for container in pod_spec["containers"]:
        limits = (container.get("resources") or {}).get("limits") or {}
        total += sum(int(v) for k, v in limits.items() if k.endswith("/gpu") and str(v).isdigit())
    return total


def _ended(name: str, pod: Raw, status: Raw, terminated: Raw, deleting: bool) -> PodFacts:
    code = terminated.get("exitCode", 1)
    state, reason = _verdict(status, terminated, code, deleting)
    return PodFacts(
        name,
        state,
        reason,
        status.get("message") or "",
        code,
        terminated.get("message") or "",
        terminated.get("startedAt"),
        terminated.get("finishedAt"),
    )


def _verdict(status: Raw, terminated: Raw, code: int, deleting: bool) -> tuple[PodState, str]:
    if code == 0:
        return PodState.SUCCEEDED, "Completed"
    if code == EXIT_INTERRUPTED:
        return PodState.INTERRUPTED, "Interrupted"
    if status.get("reason") in DISRUPTIONS:
        return PodState.INTERRUPTED, status["reason"]
    for condition in status.get("conditions") or []:
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return PodState.INTERRUPTED, condition.get("reason") or "Disrupted"
    if code in EXIT_REASONS:
        return PodState.FAILED, EXIT_REASONS[code]
    if terminated.get("reason") == "OOMKilled":
        return PodState.FAILED, "OutOfMemory"
    if terminated.get("reason") == "ContainerStatusUnknown":  # the node lost sight of it
        return PodState.INTERRUPTED, "NodeLost"
    if status.get("reason") == "DeadlineExceeded":  # activeDeadlineSeconds of a template
        return PodState.FAILED, "DeadlineExceeded"
    if deleting:
        return PodState.INTERRUPTED, "PodDeleted"
    return PodState.FAILED, "Error"
