"""The Node object of a process node: what it claims to have, and the heartbeats that keep it alive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hpo_operator.local.pod_status import timestamp
from stand.api import STRATEGIC_PATCH, Api, ApiError, Json

LEASE_SECONDS = 40
HEARTBEAT_SECONDS = 10.0
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_HEALTHY = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}


def _capacity() -> dict[str, str]:
    return {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "512Gi", "pods": "250", "nvidia.com/gpu": "8"}


@dataclass(frozen=True)
class NodeObject:
    """A Node's name and claims. A capacity is a claim, which the scheduler believes: there need be no GPU here."""

    name: str = "process-node-0"
    capacity: Mapping[str, str] = field(default_factory=_capacity)
    kubelet_port: int = 0
    """Where the node serves its Pods' logs; 0: nowhere."""

    @property
    def path(self) -> str:
        return f"/api/v1/nodes/{self.name}"

    async def register(self, api: Api) -> None:
        """Make the Node, or take it over, and let Pods come."""
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "hpo-operator/node": "process"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": labels}, "spec": {}}
        await _create_if_absent(api, "/api/v1/nodes", node)
        await self.report(api)
        # The controller manager would lift the not-ready taint as well, seconds later.
        await api.patch(self.path, {"spec": {"taints": None}})

    async def report(self, api: Api) -> None:
        """The Node's whole status, as healthy as of now."""
        now = timestamp(datetime.now(UTC))
        conditions = [
            {"type": kind, "status": value, "reason": "ProcessNode", "lastHeartbeatTime": now}
            for kind, value in _HEALTHY.items()
        ]
        status = {
            "capacity": dict(self.capacity),
            "allocatable": dict(self.capacity),
            "conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": self.name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.kubelet_port}},
            "nodeInfo": {"kubeletVersion": "process-node", "operatingSystem": "linux"} | dict.fromkeys(_UNKNOWN, ""),
        }
        await api.patch(f"{self.path}/status", {"status": status}, STRATEGIC_PATCH)

    async def renew(self, api: Api) -> None:
        """One heartbeat: the Lease that the node controller watches."""
        renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": renewed}
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": spec,
        }
        try:
            await api.patch(f"{_LEASES}/{self.name}", {"spec": spec})
        except ApiError as error:
            if error.code != 404:
                raise
            await _create_if_absent(api, _LEASES, lease)

    async def stay_alive(self, api: Api) -> None:
        """Heartbeats for ever; raises what the API server or the connection raises."""
        while True:
            await self.renew(api)
            await asyncio.sleep(HEARTBEAT_SECONDS)


_UNKNOWN = (
    *("architecture", "bootID", "containerRuntimeVersion", "kernelVersion"),
    *("kubeProxyVersion", "machineID", "osImage", "systemUUID"),
)


async def _create_if_absent(api: Api, path: str, body: Json) -> None:
    try:
        await api.create(path, body)
    except ApiError as error:
        if error.code != 409:
            raise
