"""`python -m stand.process_node`: a node of a real cluster that runs Pods as processes of this machine.

To the scheduler, the garbage collector and the operator it is a node like any other. The Pods themselves are
`hpo_operator.local.PodProcess`, the same that `hpo run` uses; here they meet the API server.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shlex
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hpo_operator.local.pod_launch import ImageConfig, base_environment
from hpo_operator.local.pod_process import NodeSettings, PodProcess
from hpo_operator.local.pod_volumes import ContainerWaitingError
from hpo_operator.local.process_group import ProcessHost
from stand.api import STRATEGIC_PATCH, UNREACHABLE, Api, ApiError, Json, connect
from stand.node_logs import serving_logs
from stand.node_object import NodeObject
from stand.volumes import claim_directory

logger = logging.getLogger("stand.process_node")

RECONNECT_SECONDS = 0.5
ADDRESSES = 254
TERMINAL = ("Succeeded", "Failed")


def pod_path(pod: Json) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


class StatusWriter:
    """Brings a Pod's statuses to the API server, in order; if it is down or slow, the newest is what counts."""

    def __init__(self, api: Api, pod: Json) -> None:
        self._api = api
        self._path = f"{pod_path(pod)}/status"
        self._uid = pod["metadata"]["uid"]
        self._next: Json | None = None
        self._delivery: asyncio.Task[None] | None = None

    async def put(self, status: Json) -> None:
        self._next = status
        if self._delivery is None or self._delivery.done():
            self._delivery = asyncio.create_task(self._deliver())

    async def flush(self) -> None:
        """Wait until the last status is stored, or the Pod is gone."""
        if self._delivery is not None:
            await self._delivery

    async def _deliver(self) -> None:
        while self._next is not None:
            status, self._next = self._next, None
            try:
                await self._patch(status)
            except UNREACHABLE:
                await asyncio.sleep(RECONNECT_SECONDS)
                self._next = self._next or status

    async def _patch(self, status: Json) -> None:
        try:  # the uid: a later Pod of the same name is another Pod
            await self._api.patch(self._path, {"metadata": {"uid": self._uid}, "status": status}, STRATEGIC_PATCH)
        except ApiError as error:
            if error.code >= 500 or error.code == 429:
                raise ConnectionError(str(error)) from error
            if error.code not in (404, 409):
                logger.error("status of %s refused: %s", self._path, error)


@dataclass
class RunningPod:
    """A Pod that this node has taken on; kept until the Pod object is gone."""

    pod: Json
    process: PodProcess | None = None
    task: asyncio.Task[None] | None = None
    grace: float | None = None

    @property
    def path(self) -> Path:
        """Of its log."""
        assert self.process is not None  # only Pods that were started are found
        return self.process.log_path

    def is_open(self) -> bool:
        return self.task is not None and not self.task.done()

    def delete(self, grace: float) -> None:
        """The Pod is to go: end it, at the latest after ``grace`` seconds."""
        self.grace = grace
        if self.process is not None:
            self.process.stop(grace)


class ProcessNode:
    """Follows the Pods bound to one Node object and runs them."""

    def __init__(self, api: Api, node: NodeObject, settings: NodeSettings, network: str) -> None:
        self._api = api
        self.node = node
        self._settings = settings
        self._pods: dict[str, RunningPod] = {}
        self._addresses: asyncio.Queue[str] = asyncio.Queue()
        for last in range(1, ADDRESSES + 1):
            self._addresses.put_nowait(f"{network}.{last}")

    def log(self, namespace: str, name: str) -> RunningPod | None:
        """A Pod of that name which has written to its log; of several the newest."""
        for running in reversed(self._pods.values()):
            metadata = running.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name) and running.process is not None:
                return running if running.path.is_file() else None
        return None

    async def run(self) -> None:
        """Serve until cancelled; the API server may come and go."""
        while True:
            try:
                await self._serve()
            except* UNREACHABLE as group:
                logger.warning("lost the API server: %s", group.exceptions[0])
            except* ApiError as group:
                logger.warning("starting over: %s", group.exceptions[0])
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _serve(self) -> None:
        await self.node.register(self._api)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.node.stay_alive(self._api))
            tasks.create_task(self._follow())

    async def _follow(self) -> None:
        mine = {"fieldSelector": f"spec.nodeName={self.node.name}"}
        listed = await self._api.get("/api/v1/pods", mine)
        present = {pod["metadata"]["uid"] for pod in listed["items"]}
        for pod in listed["items"]:
            self._observe(pod)
        for uid in self._pods.keys() - present:
            self._forget(uid)
        version = listed["metadata"]["resourceVersion"]
        while True:
            async for event in self._api.watch("/api/v1/pods", mine | {"resourceVersion": version}):
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    self._forget(event["object"]["metadata"]["uid"])
                else:
                    self._observe(event["object"])

    def _observe(self, pod: Json) -> None:
        metadata = pod["metadata"]
        running = self._pods.get(metadata["uid"])
        if running is None:
            running = self._pods[metadata["uid"]] = RunningPod(pod)
        if metadata.get("deletionTimestamp"):
            running.delete(metadata.get("deletionGracePeriodSeconds") or 0)
        over = pod.get("status", {}).get("phase") in TERMINAL
        if running.task is not None and not running.task.done():
            return
        if running.grace is not None or not (over or running.task):
            running.task = asyncio.create_task(self._work(running, over or running.task is not None))
            running.task.add_done_callback(_log_failure)

    def _forget(self, uid: str) -> None:
        """The Pod object is gone: nobody waits for its statuses any more, and its files go too."""
        running = self._pods.pop(uid, None)
        if running is not None and running.process is not None:
            running.delete(running.grace or 0)
            process = running.process
            if running.task is not None and not running.task.done():
                running.task.add_done_callback(lambda _: process.remove())
            else:
                process.remove()

    async def _work(self, running: RunningPod, over: bool) -> None:
        if not over:
            await self._run(running)
        if running.grace is not None:
            await self._finish_deletion(running.pod)

    async def _run(self, running: RunningPod) -> None:
        address = await self._addresses.get()
        writer = StatusWriter(self._api, running.pod)
        process = running.process = PodProcess(running.pod, self._settings, address)
        if running.grace is not None:
            process.stop(running.grace)

        async def report(status: Json) -> None:
            await writer.put(status)
            await self._tell_waiting(running.pod, status)

        try:
            await process.run(report)
        finally:
            self._addresses.put_nowait(address)
        await writer.flush()

    async def _finish_deletion(self, pod: Json) -> None:
        """The last word of a deletion is the node's: only then does the object go."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        try:
            await self._api.delete(pod_path(pod), options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _tell_waiting(self, pod: Json, status: Json) -> None:
        """A kubelet's Warning event for a container that cannot start."""
        waiting = (status.get("containerStatuses") or [{}])[0].get("state", {}).get("waiting", {})
        if not waiting.get("message"):
            return
        metadata = pod["metadata"]
        mount = waiting["message"].startswith("FailedMount: ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod"}
            | {name: metadata[name] for name in ("name", "namespace", "uid")},
            "type": "Warning",
            "reason": "FailedMount" if mount else "Failed",
            "message": waiting["message"].removeprefix("FailedMount: "),
            "source": {"component": "process-node", "host": self.node.name},
        }
        with suppress(ApiError, *UNREACHABLE):  # an event is a courtesy
            await self._api.create(f"/api/v1/namespaces/{metadata['namespace']}/events", event)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("a Pod's task failed", exc_info=task.exception())


async def serve(
    kubeconfig: Path,
    root: Path,
    network: str,
    node: NodeObject,
    extra: Mapping[str, str],
    images: Mapping[str, ImageConfig],
    certificate: tuple[Path, Path],
) -> None:
    """Run a process node until SIGTERM or SIGINT; its Pods' processes end with it."""
    kube = await connect(kubeconfig)
    api = Api(kube)
    source_roots = [Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    environment = base_environment(os.environ, source_roots) | dict(extra)

    async def claims(namespace: str, name: str) -> Path | None:
        try:
            return await claim_directory(api, namespace, name)
        except (ApiError, *UNREACHABLE) as error:
            raise ContainerWaitingError(
                "ContainerCreating", f"FailedMount: claim {namespace}/{name}: {error}"
            ) from error

    with ProcessHost() as host:
        settings = NodeSettings(root, host, environment, claims, images, node.name)
        served = ProcessNode(api, node, settings, network)
        try:
            async with serving_logs(served.log, *certificate) as port:
                served.node = replace(node, kubelet_port=port)
                task = asyncio.ensure_future(served.run())
                for number in (signal.SIGTERM, signal.SIGINT):
                    asyncio.get_running_loop().add_signal_handler(number, task.cancel)
                await task
        except asyncio.CancelledError:
            logger.info("told to stop")
        finally:
            await kube.close()  # type: ignore[no-untyped-call]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stand.process_node", description=__doc__.splitlines()[0])
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True, help="directory for the Pods' files")
    parser.add_argument("--certificate", type=Path, required=True, help="of the server of logs, for 127.0.0.1")
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--name", default=NodeObject().name)
    parser.add_argument("--network", default="127.1.0", help="first three numbers of the Pods' addresses")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="given to every process")
    parser.add_argument("--image", action="append", default=[], metavar="IMAGE=COMMAND", help="an image's entrypoint")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    options.root.mkdir(parents=True, exist_ok=True)
    extra = dict(pair.split("=", 1) for pair in options.env)
    entrypoints = (pair.split("=", 1) for pair in options.image)
    images = {name: ImageConfig(tuple(shlex.split(command))) for name, command in entrypoints}
    certificate = (options.certificate, options.key)
    node = NodeObject(options.name)
    asyncio.run(serve(options.kubeconfig, options.root, options.network, node, extra, images, certificate))
    return 0


if __name__ == "__main__":
    sys.exit(main())
