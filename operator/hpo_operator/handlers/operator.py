"""The running operator: kopf's watches, the workers that they wake, and the HTTP page for probes and Prometheus."""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import kopf
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hpo_operator.handlers import garbage, triggers
from hpo_operator.handlers.background import beside
from hpo_operator.handlers.health import Health
from hpo_operator.kube.client import ApiServer, load_configuration
from hpo_operator.kube.cluster import KubeCluster, StudyKey
from hpo_operator.kube.kinds import wait_until_served
from hpo_operator.kube.lease import Lease
from hpo_operator.kube.mirror import KINDS, Kind, Raw
from hpo_operator.kube.sampling import SamplePace
from hpo_operator.kube.turns import Turns
from hpo_operator.kube.watch import ChildWatch
from hpo_operator.kube.worker import StudyWorker, WorkerSettings
from hpo_operator.kube.workers import StudyWorkers
from hpo_operator.manifests.pod import PodSettings
from hpo_operator.settings import Settings
from hpo_operator.telemetry.metrics import OperatorMetrics
from hpo_operator.version import installed_version

log = logging.getLogger(__name__)

FIT_THREADS = 2
"""Decisions run here, off the event loop: a slow fit delays neither another study nor the probes."""
LAG_CHECK_SECONDS = 0.1
CHILDREN: tuple[Kind, ...] = ("hpotrials", "pods")


class LeaseLostError(Exception):
    """Another operator acts now, or may."""


async def run_operator(settings: Settings, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
    """Serve until ``stop`` is set. ``on_ready`` is called once the watches have begun.

    With a lease: stand by until it is held. The lease has connections of its own: however many requests wait for
    theirs, it is renewed.

    Raises:
        LeaseLostError: it is lost; to begin anew is to start again.
    """
    metrics = OperatorMetrics()
    metrics.build.labels(version=installed_version()).set(1)
    health = Health(asyncio.get_running_loop().time)
    for kind in KINDS:
        metrics.watch_age.labels(kind).set_function(partial(health.watch_age, kind))

    def answered(verb: str, resource: str, code: str) -> None:
        metrics.count_request(verb, resource, code)
        health.answer(code)

    ready = asyncio.Event()
    async with (
        await ApiServer.connect(settings.kubeconfig, answered) as server,
        await ApiServer.connect(settings.kubeconfig, answered) as lease_server,
        aiohttp.ClientSession() as session,
        _http(settings.port, metrics, health, ready),
        _leading(lease_server, settings, stop) as lost,
    ):
        if not await _done_before(stop, wait_until_served(server)):
            return
        metrics.leader.set(1)
        async with _serving(settings, server, session, metrics) as (cluster, workers):

            def tell(kind: Kind, key: StudyKey, event: str | None, raw: Raw) -> None:
                if cluster.learn(key, kind, event, raw):
                    workers.wake(key)

            children = [
                ChildWatch(server, kind, namespace, partial(tell, kind), health.hear)
                for kind in CHILDREN
                for namespace in settings.namespaces or (None,)
            ]
            async with beside(
                stop,
                _watch_lag(metrics, health),
                _when_set(ready, on_ready),
                garbage.keep_set_aside(),
                cluster.keep_comparing(workers.wake),
                *(watch.run() for watch in children),
            ):
                await _kopf(settings, partial(tell, "hpostudies"), health, ready, stop)
        if lost.is_set():
            raise LeaseLostError(f"the lease {settings.lease} is lost")


@asynccontextmanager
async def _serving(
    settings: Settings, server: ApiServer, session: aiohttp.ClientSession, metrics: OperatorMetrics
) -> AsyncIterator[tuple[KubeCluster, StudyWorkers]]:
    """What studies are observed in, and their workers, which end with the block."""
    executor = ThreadPoolExecutor(FIT_THREADS, thread_name_prefix="decide")
    pods = PodSettings(settings.trainer_image)
    chosen = WorkerSettings(pods, settings.sample_seconds, prometheus=settings.prometheus)
    cluster, pace, turns = KubeCluster(server), SamplePace(settings.sample_seconds), Turns()

    def make(key: StudyKey) -> StudyWorker:
        return StudyWorker(key, cluster, chosen, session, executor, _now, metrics, pace, turns)

    workers = StudyWorkers(make, ended=cluster.forget)
    try:
        yield cluster, workers
    finally:
        await workers.stop()
        executor.shutdown(wait=False, cancel_futures=True)
        log.info("stopped")


async def _kopf(
    settings: Settings, tell: triggers.Tell, health: Health, ready: asyncio.Event, stop: asyncio.Event
) -> None:
    """kopf's watches, until ``stop`` is set."""
    await kopf.operator(
        registry=triggers.registry(tell, lambda: load_configuration(settings.kubeconfig), health.hear),
        settings=triggers.settings(),
        namespaces=settings.namespaces,
        clusterwide=not settings.namespaces,
        ready_flag=ready,
        stop_flag=stop,
        # kopf's own would ask for the user's name, and a container's user often has none.
        identity="hpo-operator",  # type: ignore[arg-type]
    )


@asynccontextmanager
async def _leading(server: ApiServer, settings: Settings, stop: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """Begins when the lease is held, or ``stop`` is set. When it is lost, ``stop`` and the given event are set."""
    lost = asyncio.Event()
    if not settings.lease:
        yield lost
        return
    identity = settings.identity or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    lease = Lease(server, settings.lease, identity, _now)
    if not await _done_before(stop, lease.acquire()):  # stopped while it stood by
        yield lost
        return

    def lose(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            lost.set()
            stop.set()

    keeping = asyncio.create_task(lease.keep(), name="keeping the lease")
    keeping.add_done_callback(lose)
    try:
        yield lost
    finally:
        if keeping.cancel():
            await lease.release()


async def _done_before(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether ``work`` ended before ``stop`` was set; else it is cancelled. Raises what ``work`` raises."""
    working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not working.done():
        working.cancel()
        return False
    working.result()
    return not stop.is_set()


def _now() -> datetime:
    return datetime.now(UTC)


async def _when_set(event: asyncio.Event, call: Callable[[], None]) -> None:
    await event.wait()
    call()


async def _watch_lag(metrics: OperatorMetrics, health: Health) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_CHECK_SECONDS
        await asyncio.sleep(LAG_CHECK_SECONDS)
        health.lag = max(0.0, loop.time() - due)
        metrics.loop_lag.observe(health.lag)


@asynccontextmanager
async def _http(port: int, metrics: OperatorMetrics, health: Health, ready: asyncio.Event) -> AsyncIterator[None]:
    """/metrics, /healthz (see ``Health``) and /readyz (the watches have begun, or the lease is another's).

    One that stands by is ready: a roll-out waits for it before it ends the one that holds the lease.
    """

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthy(_: web.Request) -> web.Response:
        trouble = health.trouble()
        return web.Response(status=503 if trouble else 200, text=f"{trouble or 'healthy'}\n")

    async def is_ready(_: web.Request) -> web.Response:
        if ready.is_set():
            return web.Response(text="ready\n")
        leading = metrics.registry.get_sample_value("hpo_operator_leader")
        return web.Response(status=503, text="starting\n") if leading else web.Response(text="standing by\n")

    app = web.Application()
    app.add_routes([web.get("/metrics", show_metrics), web.get("/healthz", healthy), web.get("/readyz", is_ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    try:
        yield
    finally:
        await runner.cleanup()
