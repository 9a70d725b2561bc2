"""Pods for tests of the node that runs them as processes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from hpo_operator.local.pod_process import NodeSettings, PodProcess

SOURCE_ROOTS = [Path(entry) for entry in sys.path if entry.endswith(("operator", "trainer-image"))]
PRINT_ENV = ["python", "-c", "import json,os; open(os.environ['OUT'],'w').write(json.dumps(dict(os.environ)))"]
OUT = {"name": "OUT", "value": "/dev/termination-log"}


def manifest(command: list[str], spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "probe", "namespace": "here", "uid": "uid-1", "labels": {"app": "x", "a.b/c": "y"}},
        "spec": {"containers": [{"name": "main", "image": "img", "command": command, **container}], **(spec or {})},
    }


class Recorder:
    """Collects statuses; tells when a phase was reached."""

    def __init__(self) -> None:
        self.statuses: list[dict[str, Any]] = []
        self._changed = asyncio.Event()

    async def __call__(self, status: dict[str, Any]) -> None:
        self.statuses.append(status)
        self._changed.set()

    async def phase(self, phase: str) -> dict[str, Any]:
        while not self.statuses or self.statuses[-1]["phase"] != phase:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 20)
        return self.statuses[-1]


async def run(settings: NodeSettings, pod: dict[str, Any]) -> dict[str, Any]:
    """The terminated state of the Pod's container, with the phase."""
    final = await PodProcess(pod, settings, "127.1.2.3").run(Recorder())
    return {"phase": final["phase"], **final["containerStatuses"][0]["state"]["terminated"]}


# --- expansion: the cases of k8s.io/kubernetes/third_party/forked/golang/expansion/expand_test.go
