"""``hpo run``'s engine room: one study, from its file to its end, on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from hpo_operator.kube.cluster import StudyKey
from hpo_operator.kube.worker import StudyWorker, WorkerSettings
from hpo_operator.kube.workers import StudyWorkers
from hpo_operator.local.memory_cluster import MemoryCluster
from hpo_operator.local.oversights import refuse_relative_script
from hpo_operator.local.pod_launch import base_environment
from hpo_operator.local.pod_process import NodeSettings
from hpo_operator.local.process_group import ProcessHost
from hpo_operator.local.store import ObjectStore
from hpo_operator.manifests.pod import PodSettings
from hpo_operator.telemetry.metrics import OperatorMetrics

Raw = Mapping[str, Any]
NAMESPACE = "local"
SHOW_SECONDS = 0.25


@dataclass(frozen=True)
class LocalSettings:
    """``folder``: state of the study. ``claims``: directories that stand in for volume claims, by the claim's name.

    A claim that is not listed is the folder ``volumes/<claim>`` beside the studies' states, made when it is absent.
    """

    folder: Path
    claims: Mapping[str, Path]
    environ: Mapping[str, str]
    python_path: tuple[Path, ...] = ()
    sample_seconds: float = 1.0
    prometheus: Mapping[str, str] = field(default_factory=dict)

    @property
    def volumes(self) -> Path:
        return self.folder.resolve().parent / "volumes"


def open_store(manifest: Raw, settings: LocalSettings, fresh: bool) -> ObjectStore:
    """The study's store with this manifest in it: a new study, or the present one with its spec brought up to date.

    Raises Mistake: its trials could not find their script on this machine.
    """
    refuse_relative_script(manifest)
    store = ObjectStore(settings.folder)
    if fresh:
        store.clear()
    name = manifest["metadata"]["name"]
    meta = dict(manifest["metadata"]) | {"namespace": NAMESPACE}
    present = store.get("study", name)
    if present is None:
        store.create("study", dict(manifest) | {"metadata": meta})
    elif present["spec"] != manifest["spec"]:
        stored = present["metadata"]
        changed = stored | {"generation": stored["generation"] + 1}
        store.put("study", present | {"spec": manifest["spec"], "metadata": changed})
    return store


async def run_study(
    store: ObjectStore, name: str, settings: LocalSettings, stop: asyncio.Event, show: Callable[[], None]
) -> None:
    """Serve the study until it ends or ``stop`` is set; then end the processes. ``show`` comes a few times a second."""

    async def claim(_: str, claim_name: str) -> Path | None:
        chosen = settings.claims.get(claim_name, settings.volumes / claim_name)
        if claim_name not in settings.claims:
            chosen.mkdir(parents=True, exist_ok=True)
        return chosen

    metrics = OperatorMetrics()
    executor = ThreadPoolExecutor(1, thread_name_prefix="decide")
    key = StudyKey(NAMESPACE, name)
    pods = PodSettings("hpo-trainer")
    chosen = WorkerSettings(pods, settings.sample_seconds, SHOW_SECONDS, settings.prometheus)
    with ProcessHost() as host:
        environment = base_environment(settings.environ, settings.python_path)
        node = NodeSettings(settings.folder / "processes", host, environment, claim)
        async with aiohttp.ClientSession() as session:
            cluster = MemoryCluster(store, node, lambda: workers.wake(key))

            def make(key: StudyKey) -> StudyWorker:
                return StudyWorker(key, cluster, chosen, session, executor, lambda: datetime.now(UTC), metrics)

            workers = StudyWorkers(make)
            workers.wake(key)
            stopped = asyncio.create_task(stop.wait())
            while workers.is_serving(key) and not stopped.done():
                show()
                await asyncio.wait([stopped], timeout=SHOW_SECONDS)
            stopped.cancel()
            await workers.stop()
            await cluster.stop(datetime.now(UTC))
            executor.shutdown(wait=True)
            show()
