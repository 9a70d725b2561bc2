"""A Pod run as a local process, with the statuses that a kubelet would report for it.

Shared by `hpo run`, which has no cluster, and by the test stand's process node, which has no container engine: to the
operator both look like a node. What a process cannot give (an image's files, mounts, isolation, users) is said in
docs/test-stand.md.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hpo_operator.local.pod_launch import ImageConfig, Launch, plan_launch
from hpo_operator.local.pod_status import (
    MESSAGE_BYTES,
    Ending,
    PodStatusBuilder,
    Status,
    ending,
    termination_message,
)
from hpo_operator.local.pod_volumes import ClaimResolver, ContainerWaitingError, host_directories
from hpo_operator.local.process_group import ProcessGroup, ProcessHost

OnStatus = Callable[[Status], Awaitable[None]]

_MEMORY_CHECK_SECONDS = 1.0
_LOG_TAIL_BYTES = 4096


async def no_claims(namespace: str, name: str) -> Path | None:
    """A resolver for a place without persistent volume claims."""
    return None


@dataclass(frozen=True)
class NodeSettings:
    """What all Pods of one node share."""

    root: Path
    """Files of the Pods: one directory each, named by the Pod's uid."""
    host: ProcessHost
    environment: Mapping[str, str]
    """See ``pod_launch.base_environment``."""
    claims: ClaimResolver = no_claims
    images: Mapping[str, ImageConfig] = field(default_factory=dict)
    node_name: str = "local"
    host_ip: str = "127.0.0.1"
    retry_seconds: float = 1.0
    """How often a Pod that cannot start yet (a missing volume) is tried again."""


def pod_directory(manifest: Mapping[str, Any], settings: NodeSettings) -> Path:
    """Where the node keeps the Pod's files."""
    metadata = manifest["metadata"]
    return settings.root.resolve() / str(metadata.get("uid") or f"{metadata.get('namespace')}_{metadata['name']}")


def remove_files(manifest: Mapping[str, Any], settings: NodeSettings) -> None:
    """Delete the files of a Pod that does not run, its emptyDir volumes included."""
    shutil.rmtree(pod_directory(manifest, settings), ignore_errors=True)


class PodProcess:
    """One Pod on this machine. ``run`` once; ``stop`` at any time, also more than once."""

    def __init__(self, manifest: Mapping[str, Any], settings: NodeSettings, pod_ip: str) -> None:
        self.manifest = manifest
        self.directory = pod_directory(manifest, settings)
        self.log_path = self.directory / "log"
        self._settings = settings
        self.pod_ip = pod_ip
        self._statuses = PodStatusBuilder(manifest, pod_ip, settings.host_ip, datetime.now(UTC))
        self._stop = asyncio.Event()
        self._grace = float("inf")

    async def run(self, on_status: OnStatus) -> Status:
        """Run the Pod to its end; each status goes to ``on_status``, the last one is also returned.

        A Pod that an earlier process of this node has seen end gets that end again; one that was running then has
        been killed with that process, and is reported as lost. Cancelling kills the process at once.
        """
        previous = self._previous_status()
        if previous is not None:
            running = previous["phase"] == "Running"
            final = self._statuses.lost(previous, datetime.now(UTC)) if running else previous
        else:
            self._prepare()
            final = await self._run(on_status)
        await self._report(final, on_status)
        return final

    def stop(self, grace_seconds: float | None = None) -> None:
        """Have the process end: SIGTERM now, SIGKILL after the grace period (by default the Pod's own)."""
        own = self.manifest["spec"].get("terminationGracePeriodSeconds", 30)
        self._grace = min(self._grace, own if grace_seconds is None else grace_seconds)
        self._stop.set()

    def remove(self) -> None:
        """Delete the Pod's files, its emptyDir volumes included. Only after ``run`` has ended."""
        remove_files(self.manifest, self._settings)

    async def _run(self, on_status: OnStatus) -> Status:
        rejection = _rejection(self.manifest)
        if rejection:
            return self._statuses.rejected("UnsupportedPod", rejection)
        launch = await self._launchable(on_status)
        if launch is None:
            return self._statuses.pending()
        try:
            with self.log_path.open("wb") as log:
                group = self._settings.host.spawn(launch.argv, launch.env, launch.cwd, log)
        except OSError as error:
            return self._ended(Ending(128, "StartError", f"cannot start {launch.argv[0]!r}: {error}"))
        try:
            await self._report(self._statuses.running(datetime.now(UTC), group.group), on_status)
            return await self._watch(group, launch)
        finally:
            group.close()

    async def _launchable(self, on_status: OnStatus) -> Launch | None:
        """The launch once nothing is missing any more; None if the Pod is stopped before."""
        told = None
        while not self._stop.is_set():
            try:
                return await self._launch()
            except ContainerWaitingError as error:
                if (error.reason, error.message) != told:
                    told = (error.reason, error.message)
                    await self._report(self._statuses.pending(*told), on_status)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.retry_seconds):
                    await self._stop.wait()
        return None

    async def _launch(self) -> Launch:
        settings = self._settings
        facts = {
            "status.podIP": self.pod_ip,
            "status.hostIP": settings.host_ip,
            "spec.nodeName": settings.node_name,
            "spec.serviceAccountName": str(self.manifest["spec"].get("serviceAccountName", "default")),
        }
        volumes = await host_directories(self.manifest, self.directory, settings.claims)
        return plan_launch(self.manifest, self.directory, volumes, settings.environment, settings.images, facts)

    async def _watch(self, group: ProcessGroup, launch: Launch) -> Status:
        limits = _Limits(launch.memory_limit, self.manifest["spec"].get("activeDeadlineSeconds"))
        waiting = asyncio.ensure_future(group.wait())
        watchers = [asyncio.create_task(self._terminate(group)), asyncio.create_task(limits.enforce(group, self.stop))]
        try:
            returncode = await waiting
        finally:
            for task in (*watchers, waiting):
                task.cancel()
            await asyncio.gather(*watchers, waiting, return_exceptions=True)
        status = self._ended(ending(returncode, self._message(launch, returncode != 0), limits.out_of_memory))
        return self._statuses.deadline_exceeded(status) if limits.deadline_exceeded else status

    async def _terminate(self, group: ProcessGroup) -> None:
        """On stop: SIGTERM, then SIGKILL at the end of the shortest grace period asked for."""
        await self._stop.wait()
        group.terminate()
        began = asyncio.get_running_loop().time()
        while (left := began + self._grace - asyncio.get_running_loop().time()) > 0:
            self._stop.clear()  # a second stop with a shorter grace period sets it again
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._stop.wait()
        group.kill_all()

    def _message(self, launch: Launch, failed: bool) -> str:
        policy = self.manifest["spec"]["containers"][0].get("terminationMessagePolicy", "File")
        written = _head(launch.termination_log, MESSAGE_BYTES)
        return termination_message(written, _tail(self.log_path, _LOG_TAIL_BYTES), failed, policy)

    def _ended(self, end: Ending) -> Status:
        return self._statuses.ended(end, datetime.now(UTC))

    def _prepare(self) -> None:
        for name in ("work", "tmp"):
            (self.directory / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.directory / "termination-log").touch()

    async def _report(self, status: Status, on_status: OnStatus) -> None:
        draft = self._status_file.with_suffix(".draft")
        draft.write_text(json.dumps(status))
        draft.replace(self._status_file)
        await on_status(status)

    @property
    def _status_file(self) -> Path:
        return self.directory / "status.json"

    def _previous_status(self) -> Status | None:
        """What an earlier process of this node last wrote about this Pod, if it ever started it."""
        try:
            status: Status = json.loads(self._status_file.read_text())
        except FileNotFoundError:
            return None
        return None if status["phase"] == "Pending" else status


class _Limits:
    """The container's memory limit and the Pod's deadline, and which of them was met."""

    def __init__(self, memory_bytes: int | None, deadline_seconds: float | None) -> None:
        self.out_of_memory = False
        self.deadline_exceeded = False
        self._memory_bytes = memory_bytes
        self._deadline_seconds = deadline_seconds

    async def enforce(self, group: ProcessGroup, stop: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            if self._memory_bytes is not None:
                tasks.create_task(self._enforce_memory(group, self._memory_bytes))
            if self._deadline_seconds is not None:
                tasks.create_task(self._enforce_deadline(self._deadline_seconds, stop))

    async def _enforce_memory(self, group: ProcessGroup, limit: int) -> None:
        used = group.memory_bytes(limit)
        while used <= limit:
            await asyncio.sleep(_MEMORY_CHECK_SECONDS)
            used = group.memory_bytes(limit)
        self.out_of_memory = True
        group.kill_all()

    async def _enforce_deadline(self, seconds: float, stop: Callable[[], None]) -> None:
        await asyncio.sleep(seconds)
        self.deadline_exceeded = True
        stop()


def _rejection(manifest: Mapping[str, Any]) -> str:
    """Why a process node cannot run this Pod at all; empty if it can."""
    spec = manifest["spec"]
    names = [container["name"] for container in (spec.get("initContainers") or []) + spec["containers"]]
    if len(names) > 1:
        return f"a process node runs Pods of one container, found {', '.join(names)}"
    return ""


def _head(path: Path, size: int) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(size)
    return b""


def _tail(path: Path, size: int) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read()
    return b""
