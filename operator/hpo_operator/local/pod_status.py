"""Pod statuses as a kubelet writes them: pure dict builders, from the facts about one container."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]
Status = dict[str, Any]

MESSAGE_BYTES = 4096
FALLBACK_BYTES = 2048
FALLBACK_LINES = 80


def timestamp(moment: datetime) -> str:
    """RFC 3339 in whole seconds, as the API server keeps it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Ending:
    """How the container's process ended."""

    exit_code: int
    reason: str
    message: str = ""
    signal: int | None = None


def ending(returncode: int, message: str, out_of_memory: bool) -> Ending:
    """From a process's return code, negative for a signal; a container runtime reports 128 + its number."""
    if out_of_memory:
        return Ending(128 + signal.SIGKILL, "OOMKilled", message, int(signal.SIGKILL))
    if returncode < 0:
        return Ending(128 - returncode, "Error", message, -returncode)
    return Ending(returncode, "Error" if returncode else "Completed", message)


def termination_message(written: bytes, log: bytes, failed: bool, policy: str) -> str:
    """The container's message: what it wrote, else, if asked for, the end of the log of a failed one."""
    if not written and failed and policy == "FallbackToLogsOnError":
        written = b"".join(log[-FALLBACK_BYTES:].splitlines(keepends=True)[-FALLBACK_LINES:])
    return written[:MESSAGE_BYTES].decode(errors="replace")


class PodStatusBuilder:
    """The statuses of one Pod over its life."""

    def __init__(self, pod: Json, pod_ip: str, host_ip: str, created: datetime) -> None:
        self._container: Json = pod["spec"]["containers"][0]
        self._pod_ip = pod_ip
        self._host_ip = host_ip
        self._created = timestamp(created)
        self._process_id: int | None = None
        self._started: str | None = None

    def pending(self, reason: str = "ContainerCreating", message: str = "") -> Status:
        waiting = {"reason": reason} | ({"message": message} if message else {})
        return self._status("Pending", {"waiting": waiting}, self._created)

    def running(self, started: datetime, process_id: int) -> Status:
        self._started, self._process_id = timestamp(started), process_id
        return self._status("Running", {"running": {"startedAt": self._started}}, self._started)

    def ended(self, end: Ending, finished: datetime) -> Status:
        terminated: Status = {
            "exitCode": end.exit_code,
            "reason": end.reason,
            "startedAt": self._started or timestamp(finished),
            "finishedAt": timestamp(finished),
        }
        terminated |= {"message": end.message} if end.message else {}
        terminated |= {"signal": end.signal} if end.signal else {}
        terminated |= {"containerID": self._container_id()} if self._process_id else {}
        phase = "Failed" if end.exit_code else "Succeeded"
        return self._status(phase, {"terminated": terminated}, timestamp(finished))

    def lost(self, running: Status, found: datetime) -> Status:
        """Of a container that was running when this node's program died; its address and times stay what they were."""
        self._started = running["containerStatuses"][0]["state"]["running"]["startedAt"]
        message = "The container could not be located when the pod was terminated"
        status = self.ended(Ending(128 + signal.SIGKILL, "ContainerStatusUnknown", message), found)
        return status | {key: running[key] for key in ("hostIP", "podIP", "podIPs", "startTime")}

    def deadline_exceeded(self, status: Status) -> Status:
        """A terminal status of a Pod that was stopped at its activeDeadlineSeconds."""
        message = "Pod was active on the node longer than the specified deadline"
        return status | {"phase": "Failed", "reason": "DeadlineExceeded", "message": message}

    def rejected(self, reason: str, message: str) -> Status:
        """A Pod that this node does not admit; no container was started."""
        return {"phase": "Failed", "reason": reason, "message": message, "startTime": self._created}

    def _status(self, phase: str, state: Status, since: str) -> Status:
        ready = phase == "Running"
        return {
            "phase": phase,
            "conditions": self._conditions(phase, since),
            "hostIP": self._host_ip,
            "podIP": self._pod_ip,
            "podIPs": [{"ip": self._pod_ip}],
            "startTime": self._created,
            "containerStatuses": [self._container_status(state, ready)],
        }

    def _conditions(self, phase: str, since: str) -> list[Status]:
        unready = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")
        readiness: Status = {"status": "True"} if phase == "Running" else {"status": "False", "reason": unready}
        passed = {"status": "True", "lastTransitionTime": self._created}
        return [
            *({"type": kind} | passed for kind in ("PodScheduled", "Initialized")),
            *({"type": kind, "lastTransitionTime": since} | readiness for kind in ("ContainersReady", "Ready")),
        ]

    def _container_status(self, state: Status, ready: bool) -> Status:
        status: Status = {
            "name": self._container["name"],
            "image": self._container.get("image", ""),
            "imageID": "",
            "ready": ready,
            "started": ready,
            "restartCount": 0,
            "state": state,
        }
        return status | ({"containerID": self._container_id()} if self._process_id else {})

    def _container_id(self) -> str:
        return f"process://{self._process_id}"
