"""An in-memory cluster that fails in every way an API server does, and its worker in virtual time."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from hpo_operator.kube.cluster import StudyKey
from hpo_operator.kube.errors import ClusterError
from hpo_operator.kube.sampling import SamplePace
from hpo_operator.kube.turns import Turns
from hpo_operator.kube.worker import StudyWorker, WorkerSettings
from hpo_operator.kube.workers import StudyWorkers
from hpo_operator.reconcile.actions import Action
from hpo_operator.reconcile.snapshot import Snapshot
from hpo_operator.telemetry.metrics import OperatorMetrics
from kube.virtual_time import InlineExecutor, run
from reconcile.objects import NOW, SETTINGS, study
from reconcile.simulation import Raw, SimulatedCluster, dice

KEY = StudyKey("lab", "demo")
Fault = Callable[[Action], ClusterError | None]


class InMemoryCluster:
    """A Cluster whose Pods run by themselves. ``fault`` may refuse an action, ``ignored`` let it have no effect."""

    def __init__(self, raw: Raw) -> None:
        self.objects = SimulatedCluster(raw)
        self.metrics = OperatorMetrics()
        self.fault: Fault = lambda action: None
        self.ignored: Callable[[Action], bool] = lambda action: False
        self.before_observe: Callable[[], None] = lambda: None
        self.wake: Callable[[], None] = lambda: None
        self.gone = False
        self.write_seconds = 0.0
        self.observed: list[float] = []
        self.performed: list[tuple[float, Action]] = []
        self._timer: asyncio.TimerHandle | None = None

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=asyncio.get_running_loop().time())

    async def observe(self, key: StudyKey) -> Snapshot | None:
        assert key == KEY
        self.observed.append(asyncio.get_running_loop().time())
        self.before_observe()
        return None if self.gone else copy.deepcopy(self.objects.snapshot())

    async def perform(self, study: Any, action: Action, now: datetime) -> None:
        error = self.fault(action)
        if error is not None:
            raise error
        if self.ignored(action):
            return
        await asyncio.sleep(self.write_seconds)
        self.objects.now = now
        self.performed.append((asyncio.get_running_loop().time(), action))
        self.objects.perform(action)
        self._look_after_pods()

    def _look_after_pods(self) -> None:
        self.objects.now = self.clock()
        self.objects.end_pods()
        self.objects.start_pods()
        end = self.objects.next_end()
        if self._timer is not None:
            self._timer.cancel()
        if end is not None:
            delay = (end - self.clock()).total_seconds()
            self._timer = asyncio.get_running_loop().call_later(delay, self._pod_ended)

    def _pod_ended(self) -> None:
        self._look_after_pods()
        self.wake()

    def errors(self, reason: str) -> float:
        return self.metrics.registry.get_sample_value("hpo_reconcile_errors_total", {"reason": reason}) or 0.0


def made(trials: int = 3, **budget: Any) -> Raw:
    return study(budget={"trials": trials, "parallelism": 1} | budget)


def simulate(
    cluster: InMemoryCluster,
    scenario: Callable[[StudyWorkers], Awaitable[None]],
    pace: SamplePace | None = None,
    turns: Turns | None = None,
) -> float:
    """Run ``scenario`` with workers for ``cluster``; the seconds that it took."""

    async def main() -> float:
        async with aiohttp.ClientSession() as session:

            def make(key: StudyKey) -> StudyWorker:
                settings = WorkerSettings(SETTINGS)
                executor = InlineExecutor()
                clock, metrics = cluster.clock, cluster.metrics
                return StudyWorker(key, cluster, settings, session, executor, clock, metrics, pace, turns)

            workers = StudyWorkers(make)
            cluster.wake = lambda: workers.wake(KEY)
            await scenario(workers)
            elapsed = asyncio.get_running_loop().time()
            await workers.stop()
            return elapsed

    return run(main())


async def served(workers: StudyWorkers) -> None:
    """Until the worker has ended by itself."""
    workers.wake(KEY)
    while workers.is_serving(KEY):  # noqa: ASYNC110 - the sleep is what lets virtual time pass
        await asyncio.sleep(1)


def undisturbed(raw: Raw) -> dict[int, tuple[Any, ...]]:
    cluster = SimulatedCluster(raw, dice)
    cluster.run()
    return cluster.results()
