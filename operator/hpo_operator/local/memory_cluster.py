"""A cluster without Kubernetes: an in-memory API and one node that runs Pods as processes.

The operator's own worker drives it, so that a study here and a study there are decided by the same code.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import IPv4Network
from typing import Any

from hpo_operator.kube.cluster import StudyKey, event_manifest
from hpo_operator.local.pod_process import NodeSettings, PodProcess, remove_files
from hpo_operator.local.store import Object, ObjectStore
from hpo_operator.manifests.pod import METRICS_PORT
from hpo_operator.reconcile.actions import (
    Action,
    AdoptTrial,
    CreatePod,
    CreateTrial,
    DeletePod,
    PatchTrialSpec,
    PutStudyStatus,
    PutTrialStatus,
    RecordEvent,
)
from hpo_operator.reconcile.clock import to_text
from hpo_operator.reconcile.manual_trials import owned_and_strays
from hpo_operator.reconcile.snapshot import Snapshot

Raw = Mapping[str, Any]
ADDRESSES = IPv4Network("127.16.0.0/12")
"""Where local Pods get their addresses."""


class MemoryCluster:
    """A Cluster (see ``kube.cluster``) of one study. ``changed`` is called whenever a Pod's status changes.

    Made inside the running event loop, since Pods of an earlier run are taken up again.
    """

    def __init__(self, store: ObjectStore, node: NodeSettings, changed: Callable[[], None]) -> None:
        self.store = store
        self._node, self._changed = node, changed
        self._running: dict[str, PodProcess] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for pod in store.all("pods"):
            if _phase(pod) in ("Pending", "Running"):  # its process tells how it ended, or that it was lost
                self._start(pod["metadata"]["name"])

    async def observe(self, key: StudyKey) -> Snapshot | None:
        study = self.store.get("study", key.name)
        if study is None:
            return None
        owned, strays = owned_and_strays(study, self.store.all("trials"))
        return Snapshot(study, owned, tuple(self.store.all("pods")), strays=strays)

    async def perform(self, study: Raw, action: Action, now: datetime) -> None:
        match action:
            case CreateTrial(manifest):
                self.store.create("trials", manifest)
            case CreatePod(manifest):
                if self.store.create("pods", manifest):
                    self._start(manifest["metadata"]["name"])
            case DeletePod(name):
                self._delete(name, now)
            case PatchTrialSpec(name, changes):
                self._update_trial(name, lambda t: _next_generation(t | {"spec": t["spec"] | changes}))
            case AdoptTrial(name, metadata, spec):
                self._update_trial(
                    name, lambda t: _next_generation({"metadata": t["metadata"] | metadata, "spec": t["spec"] | spec})
                )
            case PutTrialStatus(name, status):
                self._update_trial(name, lambda t: t | {"status": status.dump()})
            case PutStudyStatus(status):
                self.store.put("study", dict(study) | {"status": status.dump()})
            case RecordEvent():
                self.store.create("events", event_manifest(study, action, now))

    async def stop(self, now: datetime) -> None:
        """Delete all Pods, each with its grace period to write a checkpoint; whatever the exit code, none failed."""
        for name in list(self._running):
            self._delete(name, now)
        await asyncio.gather(*self._tasks)

    def _start(self, name: str) -> None:
        pod = self.store.get("pods", name)
        assert pod is not None  # just created
        process = self._running[name] = PodProcess(pod, self._node, self._address())
        task = asyncio.get_running_loop().create_task(self._serve(name, process), name=f"pod {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, name: str, process: PodProcess) -> None:
        async def store_status(status: Mapping[str, Any]) -> None:
            pod = self.store.get("pods", name)
            if pod is not None:
                self.store.put("pods", pod | {"status": dict(status)})
            self._changed()

        try:
            final = await process.run(store_status)
        finally:
            del self._running[name]
        if final["phase"] == "Pending":  # deleted before it could start
            self.store.remove("pods", name)
            self._changed()

    def _address(self) -> str:
        """A loopback address of its own for every running Pod, so that all can serve /metrics on the same port.

        Other studies may run on this machine: the search begins at a place that depends on this process, and skips
        addresses where something listens.
        """
        taken = {process.pod_ip for process in self._running.values()}
        size = ADDRESSES.num_addresses
        places = (ADDRESSES[(os.getpid() * 256 + n) % size] for n in range(size))
        return str(next(ip for ip in places if str(ip) not in taken and _is_free(str(ip))))

    def _delete(self, name: str, now: datetime) -> None:
        pod = self.store.get("pods", name)
        if pod is None:
            return
        if _phase(pod) not in ("Pending", "Running"):
            self.store.remove("pods", name)
            remove_files(pod, self._node)
            return
        self.store.put("pods", pod | {"metadata": pod["metadata"] | {"deletionTimestamp": to_text(now)}})
        if name in self._running:
            self._running[name].stop()

    def _update_trial(self, name: str, change: Callable[[Object], Object]) -> None:
        trial = self.store.get("trials", name)
        if trial is not None:
            self.store.put("trials", change(trial))


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def _is_free(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, METRICS_PORT))
        except OSError:
            return False
        return True


def _next_generation(value: Object) -> Object:
    meta = value["metadata"]
    return value | {"metadata": meta | {"generation": meta["generation"] + 1}}
