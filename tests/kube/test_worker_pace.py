"""When a worker stores what, and how often it looks: for people, for news of Pods, for pages of metrics."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count, pairwise
from typing import TypeGuard

import aiohttp
from aiohttp import web

from hpo_operator.kube.cluster import StudyKey
from hpo_operator.kube.errors import ClusterError
from hpo_operator.kube.sampling import SamplePace
from hpo_operator.kube.turns import Turns
from hpo_operator.kube.worker import RESYNC_SECONDS, StudyWorker, WorkerSettings
from hpo_operator.kube.workers import StudyWorkers
from hpo_operator.manifests.pod import METRICS_PORT
from hpo_operator.reconcile.actions import Action, CreatePod, CreateTrial, PutStudyStatus, PutTrialStatus
from kube.in_memory import KEY, InMemoryCluster, made, served, simulate, undisturbed
from kube.virtual_time import InlineExecutor
from reconcile.objects import NOW, SETTINGS
from reconcile.simulation import dice


def test_what_only_people_read_is_stored_a_little_later_and_together() -> None:
    """Ten trials train at once: what becomes of them is stored at once, the study's numbers when there is a pause."""
    cluster = InMemoryCluster(made(10, parallelism=10))
    lengths = (20 + 1.5 * number for number in count())
    cluster.objects.train = lambda parameters, resource: replace(dice(parameters, resource), seconds=next(lengths))
    simulate(cluster, served)
    numbers = [(at, action) for at, action in cluster.performed if isinstance(action, PutStudyStatus)]
    accepted, *later = [at for at, action in numbers if action.can_wait or not action.status.completion_time]
    assert accepted == 0
    assert later
    assert min(b - a for a, b in pairwise([accepted, *later])) >= WorkerSettings(SETTINGS).status_seconds
    changes = {at for at, action in cluster.performed if isinstance(action, PutTrialStatus)}
    assert len(changes) > 10
    assert len(numbers) < 6
    assert all(action.haste == "Evidence" for _, action in cluster.performed if _measures(action))


def test_no_pod_waits_for_what_only_people_read() -> None:
    """Each write takes longer than people wait in quiet times. Trial, then Pod: with nothing in between."""
    cluster = InMemoryCluster(made(3))
    cluster.write_seconds = 2.5
    simulate(cluster, served)
    written = [type(action) for _, action in cluster.performed]
    assert written.count(CreateTrial) == written.count(CreatePod) == 3
    after = [written[position + 1] for position, kind in enumerate(written) if kind is CreateTrial]
    assert after == [CreatePod] * 3


def test_trials_go_on_while_others_have_the_turn_to_tell_news() -> None:
    """What is known of Pods that run is stored when the turn comes, here after 31 seconds."""
    cluster, turns, other = InMemoryCluster(made(5)), Turns(1), StudyKey("lab", "other")
    turns.ask(other, lambda: None)
    cluster.objects.train = lambda parameters, resource: replace(dice(parameters, resource), seconds=20.0)

    async def scenario(workers: StudyWorkers) -> None:
        asyncio.get_running_loop().call_later(31, turns.leave, other)
        await served(workers)

    simulate(cluster, scenario, turns=turns)
    assert [result[0] for result in cluster.objects.results().values()] == [
        result[0] for result in undisturbed(made(5)).values()
    ]
    begun = [at for at, action in cluster.performed if isinstance(action, CreatePod)]
    news = [at for at, action in cluster.performed if isinstance(action, PutTrialStatus) and action.haste == "News"]
    assert len(begun) == 5
    assert begun[1] < 25
    assert news[:2] == [0, 31]  # the first with the study's acceptance, which waits for nobody
    assert turns.ask(other, lambda: None)  # the study's own turn is over


def _measures(action: Action) -> TypeGuard[PutTrialStatus]:
    return isinstance(action, PutTrialStatus) and bool(action.status.measurements)


def test_a_study_is_not_looked_at_while_nothing_is_new() -> None:
    """Its only Pod trains for an hour and its page, which is read every 5 seconds, is not there."""
    cluster = InMemoryCluster(made(1))
    cluster.objects.train = lambda parameters, resource: replace(dice(parameters, resource), seconds=3600.0)
    simulate(cluster, served)
    assert cluster.objects.status["phase"] == "Succeeded"
    assert len(cluster.observed) < 3 * 3600 / RESYNC_SECONDS  # its GPU-hours are stored as they grow


def test_pages_are_read_less_often_when_there_are_many() -> None:
    pace = SamplePace(5.0)
    assert pace.seconds == 5.0
    for number in range(100):
        pace.note(StudyKey("lab", f"study-{number}"), 10)
    assert pace.seconds == 20.0
    for number in range(90):
        pace.note(StudyKey("lab", f"study-{number}"), 0)
    assert pace.seconds == 5.0


def test_what_has_ended_counts_for_no_pace() -> None:
    cluster, pace = InMemoryCluster(made()), SamplePace(5.0)
    seen = []

    async def scenario(workers: StudyWorkers) -> None:
        workers.wake(KEY)
        while workers.is_serving(KEY):
            await asyncio.sleep(1)
            seen.append(pace.seconds)

    pace.note(StudyKey("lab", "other"), 250)
    simulate(cluster, scenario, pace)
    assert max(seen) == 251 / 50
    assert pace.seconds == 5.0


# --- waking, ending, starting again


async def test_what_trains_is_sampled_however_many_events_come() -> None:
    """In real time, over real HTTP: events far more often than samples are due."""
    address = "127.86.0.9"

    async def page(_: web.Request) -> web.Response:
        return web.Response(text='hpo_trial_metric{name="dice"} 0.75\nhpo_trial_resource 4\n')

    app = web.Application()
    app.add_routes([web.get("/metrics", page)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, address, METRICS_PORT).start()
    cluster = InMemoryCluster(made(1))
    sampled = asyncio.Event()

    def fault(action: Action) -> ClusterError | None:
        if isinstance(action, PutTrialStatus) and action.status.objective == 0.75:
            sampled.set()
        return None

    def address_pods() -> None:
        for pod in cluster.objects.pods.values():
            pod["status"]["podIP"] = address

    cluster.fault, cluster.before_observe = fault, address_pods
    cluster.clock = lambda: NOW  # type: ignore[method-assign]
    async with aiohttp.ClientSession() as session:
        settings = WorkerSettings(SETTINGS, sample_seconds=0.2)
        worker = StudyWorker(KEY, cluster, settings, session, InlineExecutor(), cluster.clock, cluster.metrics)
        task = asyncio.create_task(worker.run())

        async def storm() -> None:
            while True:
                worker.wake()
                await asyncio.sleep(0.01)

        events = asyncio.create_task(storm())
        await asyncio.wait_for(sampled.wait(), timeout=20)
        for running in (task, events):
            running.cancel()
        await asyncio.gather(task, events, return_exceptions=True)
    await runner.cleanup()
    status = cluster.objects.trials["demo-0"]["status"]
    assert (status["objective"], status["resource"]) == (0.75, 4)
