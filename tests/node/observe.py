"""What can be seen of Pods: by kubectl, through the kubelet, and in /proc of the node."""

from __future__ import annotations

import re
import urllib.error
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from stand.control_plane import ControlPlane, ControlPlaneError

Raw = dict[str, Any]


@dataclass(frozen=True)
class Pods:
    """Those of one namespace with one label."""

    plane: ControlPlane
    namespace: str
    selector: str

    def all(self) -> list[Raw]:
        found = self.plane.request("GET", f"{self._path}?{urlencode({'labelSelector': self.selector})}")
        items: list[Raw] = found["items"]
        return items

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def running(self) -> list[Raw]:
        """Those that run and are not asked to end."""
        return [
            pod
            for pod in self.all()
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]

    def log(self, pod: Raw) -> str:
        """Through the kubelet; empty where there is none yet, or none any more."""
        if start_seconds(pod) is None:
            return ""
        try:
            return str(self.plane.request("GET", f"{self._path}/{name_of(pod)}/log"))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return ""

    def log_of(self, name: str) -> str:
        """The same, by name; empty while there is no such Pod."""
        return next((self.log(pod) for pod in self.all() if name_of(pod) == name), "")

    def execute(self, name: str, *command: str) -> str:
        """What a command in the Pod's container prints; what kubectl says where it fails."""
        try:
            return self.kubectl("exec", name, "--", *command).strip()
        except ControlPlaneError as error:
            return str(error)

    def kubectl(self, *arguments: str) -> str:
        return self.plane.kubectl("-n", self.namespace, *arguments)


def name_of(pod: Raw) -> str:
    return str(pod["metadata"]["name"])


def epochs(log: str) -> list[int]:
    """That a trial has trained."""
    return [int(number) for number in re.findall(r"^hpo: epoch (\d+):", log, flags=re.MULTILINE)]


def resumed_after(log: str) -> int | None:
    """The epoch of the checkpoint that a trial went on from."""
    found = re.search(r"^hpo: resumed after epoch (\d+)", log, flags=re.MULTILINE)
    return None if found is None else int(found[1])


def start_seconds(pod: Raw) -> float | None:
    """From the Pod's creation to its container's start, in whole seconds; None while it has not started."""
    (status,) = pod["status"].get("containerStatuses") or [{}]
    for state in (status.get("state") or {}).values():
        if "startedAt" in state:
            return (_time(state["startedAt"]) - _time(pod["metadata"]["creationTimestamp"])).total_seconds()
    return None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def peak_memory(module: str) -> int:
    """Bytes: the highest resident memory (VmHWM, proc(5)) of the processes that run ``python -m module``."""
    peaks = [0]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            argv = (folder / "cmdline").read_bytes().split(b"\0")
            status = (folder / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        peak = re.search(r"^VmHWM:\s+(\d+) kB", status, flags=re.MULTILINE)
        if argv[1:3] == [b"-m", module.encode()] and peak is not None:
            peaks.append(int(peak[1]) * 1024)
    return max(peaks)
