"""The worker of a study against an in-memory cluster that fails in every way an API server does, in virtual time."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, pairwise
from typing import Any, TypeGuard

import aiohttp
import pytest
from aiohttp import web

from hpo_operator.kube.cluster import StudyKey
from hpo_operator.kube.errors import ClusterError, ConflictError, NotFoundError, RefusedError, TemporaryError
from hpo_operator.kube.sampling import SamplePace
from hpo_operator.kube.turns import Turns
from hpo_operator.kube.worker import RESYNC_SECONDS, StudyWorker, WorkerSettings
from hpo_operator.kube.workers import StudyWorkers
from hpo_operator.manifests.pod import METRICS_PORT
from hpo_operator.reconcile.actions import Action, CreatePod, CreateTrial, PutStudyStatus, PutTrialStatus
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


def test_a_study_is_served_to_its_end() -> None:
    cluster = InMemoryCluster(made())
    elapsed = simulate(cluster, served)
    assert cluster.objects.status["phase"] == "Succeeded"
    assert cluster.objects.results() == undisturbed(made())
    assert elapsed < 3 * 40 + 5  # Pods of 20 to 40 seconds, one after the other
    counted = cluster.metrics.registry.get_sample_value
    assert counted("hpo_study_trials", {"namespace": "lab", "study": "demo", "state": "succeeded"}) == 3
    assert counted("hpo_actions_total", {"action": "CreatePod"}) == 3


def test_lost_events_cost_time_only() -> None:
    cluster = InMemoryCluster(made())

    async def scenario(workers: StudyWorkers) -> None:
        cluster.wake = lambda: None
        await served(workers)

    elapsed = simulate(cluster, scenario)
    assert cluster.objects.results() == undisturbed(made())
    assert elapsed < 3 * (40 + RESYNC_SECONDS)


# --- errors of the API server


@pytest.mark.parametrize("error", [TemporaryError("etcd is away", 503), ConflictError("changed", 409)])
def test_a_failing_server_is_asked_ever_more_slowly_and_the_study_goes_on(error: ClusterError) -> None:
    cluster = InMemoryCluster(made())
    failing = True

    def observe() -> None:
        if failing:
            raise error

    async def scenario(workers: StudyWorkers) -> None:
        nonlocal failing
        workers.wake(KEY)
        for _ in range(200):  # events do not shorten a back-off
            await asyncio.sleep(1.51)
            workers.wake(KEY)
        failing = False
        await served(workers)

    cluster.before_observe = observe
    simulate(cluster, scenario)
    assert cluster.observed[:9] == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert cluster.errors(type(error).__name__) >= 9
    assert cluster.objects.results() == undisturbed(made())


def test_a_server_that_asks_to_be_left_alone_is() -> None:
    cluster = InMemoryCluster(made())
    refusals = [TemporaryError("too many requests", 429, retry_after=seconds) for seconds in (20.0, 1.0, 3600.0)]

    def observe() -> None:
        if refusals:
            raise refusals.pop(0)

    cluster.before_observe = observe
    simulate(cluster, served)
    assert cluster.observed[:4] == [0, 20, 22, 82]  # its wish, our own back-off, and no more than a minute


@pytest.mark.parametrize("kind", [CreateTrial, CreatePod, PutTrialStatus, PutStudyStatus])
def test_an_action_that_fails_now_and_then_is_neither_lost_nor_doubled(kind: type[Action]) -> None:
    cluster = InMemoryCluster(made())
    asked = 0

    def fault(action: Action) -> ClusterError | None:
        nonlocal asked
        asked += isinstance(action, kind)
        return TemporaryError("no answer") if isinstance(action, kind) and asked % 2 else None

    cluster.fault = fault
    simulate(cluster, served)
    assert asked > 2
    assert cluster.objects.results() == undisturbed(made())
    assert len(cluster.objects.created_pods) == 3


def test_an_object_that_is_gone_meanwhile_is_no_error() -> None:
    cluster = InMemoryCluster(made())
    left = 1

    def fault(action: Action) -> ClusterError | None:
        nonlocal left
        if isinstance(action, PutTrialStatus) and left:
            left -= 1
            return NotFoundError("hpotrials demo-0 not found", 404)
        return None

    cluster.fault = fault
    simulate(cluster, served)
    assert left == 0
    assert cluster.objects.results() == undisturbed(made())
    assert cluster.errors("NotFoundError") == 0


def test_a_refused_pod_is_shown_and_asked_for_again_later() -> None:
    cluster = InMemoryCluster(made(1))
    refused: list[float] = []

    def fault(action: Action) -> ClusterError | None:
        if isinstance(action, CreatePod) and len(refused) < 4:
            refused.append(asyncio.get_running_loop().time())
            return RefusedError("exceeded quota: gpus, requested: 2, used: 8, limited: 8", 403)
        return None

    async def scenario(workers: StudyWorkers) -> None:
        workers.wake(KEY)
        await asyncio.sleep(5)
        trial = cluster.objects.trials["demo-0"]
        assert (trial["status"]["phase"], trial["status"]["reason"]) == ("Pending", "QuotaExceeded")
        assert "exceeded quota: gpus, requested: 2" in cluster.objects.status["message"]
        for _ in range(20):
            workers.wake(KEY)  # events do not make it ask sooner
            await asyncio.sleep(1)
        await served(workers)

    cluster.fault = fault
    simulate(cluster, scenario)
    assert len(refused) == 4
    assert min(b - a for a, b in pairwise(refused)) >= 30
    assert max(b - a for a, b in pairwise(refused)) <= 61
    assert cluster.objects.results() == undisturbed(made(1))
    assert [e.reason for e in cluster.objects.events].count("TrialFailed") == 0


def test_a_refused_status_backs_off() -> None:
    cluster = InMemoryCluster(made(1))
    cluster.fault = lambda a: RefusedError("forbidden", 403) if isinstance(a, PutStudyStatus) else None

    async def scenario(workers: StudyWorkers) -> None:
        workers.wake(KEY)
        await asyncio.sleep(600)

    simulate(cluster, scenario)
    assert cluster.errors("RefusedError") == pytest.approx(15, abs=4)


def test_what_has_no_effect_is_not_repeated_without_end() -> None:
    """As with a CRD older than the operator, which drops a field: the status never reads back as written."""
    cluster = InMemoryCluster(made(1))

    def drop() -> None:
        for trial in cluster.objects.trials.values():
            (trial.get("status") or {}).pop("reason", None)

    async def scenario(workers: StudyWorkers) -> None:
        workers.wake(KEY)
        await asyncio.sleep(3600)

    cluster.before_observe = drop
    simulate(cluster, scenario)
    assert len(cluster.observed) < 300
    assert cluster.errors("TemporaryError") > 10
    assert cluster.objects.results() == undisturbed(made(1))


def test_an_old_pod_in_the_way_of_a_new_one_is_waited_for() -> None:
    """A trial was deleted by hand and made again while its Pod still writes a checkpoint."""
    cluster = InMemoryCluster(made(1))
    until = 20.0
    cluster.ignored = lambda a: isinstance(a, CreatePod) and asyncio.get_running_loop().time() < until
    simulate(cluster, served)
    assert cluster.objects.results() == undisturbed(made(1))
    assert len([t for t in cluster.observed if t < until]) < 30


def test_what_only_people_read_is_stored_a_little_later_and_together() -> None:
    """Ten trials train at once: what becomes of them is stored at once, the study's numbers when there is a pause."""
    cluster = InMemoryCluster(made(10, parallelism=10))
    lengths = (20 + 0.5 * number for number in count())
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


def test_an_event_during_the_work_is_not_lost() -> None:
    cluster = InMemoryCluster(made(1))

    async def scenario(workers: StudyWorkers) -> None:
        cluster.wake = lambda: None
        workers.wake(KEY)
        await asyncio.sleep(1)
        cluster.objects.edit_budget(trials=2, parallelism=2)
        looked = len(cluster.observed)

        def during_the_look() -> None:  # of a worker that is woken once, an event comes while it looks
            if len(cluster.observed) == looked + 1:
                workers.wake(KEY)

        cluster.before_observe = during_the_look
        workers.wake(KEY)
        await asyncio.sleep(0.001)
        times = cluster.observed[looked:]
        assert len(times) >= 3  # one that acts, one that is settled, and one for the second event
        assert times[-1] == times[0]

    simulate(cluster, scenario)


def test_a_finished_study_costs_nothing_until_it_changes() -> None:
    cluster = InMemoryCluster(made(2))

    async def scenario(workers: StudyWorkers) -> None:
        await served(workers)
        looked = len(cluster.observed)
        await asyncio.sleep(24 * 3600)
        assert len(cluster.observed) == looked
        cluster.objects.edit_budget(trials=4)
        await served(workers)

    simulate(cluster, scenario)
    assert cluster.objects.status["progress"] == "4/4"
    assert cluster.objects.results() == undisturbed(made(4))


def test_an_invalid_study_waits_for_its_next_edit() -> None:
    cluster = InMemoryCluster(made(1))
    good = cluster.objects.study["spec"]["objective"]
    cluster.objects.study["spec"]["objective"] = {"metric": "dice"}

    async def scenario(workers: StudyWorkers) -> None:
        await served(workers)
        assert cluster.objects.status["phase"] == "Invalid"
        cluster.objects.edit(objective=good)
        await served(workers)

    simulate(cluster, scenario)
    assert cluster.objects.status["phase"] == "Succeeded"


def test_an_event_in_the_moment_of_the_end_starts_it_again() -> None:
    cluster = InMemoryCluster(made(1))

    async def scenario(workers: StudyWorkers) -> None:
        def edit_and_wake() -> None:
            cluster.objects.edit_budget(trials=2)
            workers.wake(KEY)

        def look() -> None:  # the last one, and right after it the user's edit
            if cluster.objects.status.get("completionTime"):
                cluster.before_observe = lambda: None
                asyncio.get_running_loop().call_soon(edit_and_wake)

        cluster.before_observe = look
        await served(workers)

    simulate(cluster, scenario)
    assert len(cluster.objects.results()) == 2


def test_a_study_that_is_gone_has_no_worker() -> None:
    cluster = InMemoryCluster(made(5))

    async def scenario(workers: StudyWorkers) -> None:
        workers.wake(KEY)
        await asyncio.sleep(10)
        assert workers.is_serving(KEY)
        cluster.gone = True
        await served(workers)

    simulate(cluster, scenario)
    known = {"namespace": "lab", "study": "demo"}
    assert cluster.metrics.registry.get_sample_value("hpo_study_gpu_seconds", known) is None


def test_an_unexpected_error_ends_the_worker_and_the_next_event_starts_it_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = InMemoryCluster(made(1))
    broken = True

    def observe() -> None:
        if broken:
            raise ZeroDivisionError("a bug")

    async def scenario(workers: StudyWorkers) -> None:
        nonlocal broken
        await served(workers)
        broken = False
        await served(workers)

    cluster.before_observe = observe
    simulate(cluster, scenario)
    assert "unexpected error" in caplog.text
    assert cluster.objects.results() == undisturbed(made(1))


def test_nothing_is_started_once_all_are_stopped() -> None:
    cluster = InMemoryCluster(made(3))

    async def scenario(workers: StudyWorkers) -> None:
        workers.wake(KEY)
        await asyncio.sleep(10)
        await workers.stop()
        done = len(cluster.performed)
        await asyncio.sleep(600)  # the Pod ends meanwhile, and that is an event
        assert not workers.is_serving(KEY)
        assert len(cluster.performed) == done

    simulate(cluster, scenario)
    assert len(cluster.objects.created_pods) == 1


# --- sampling


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


@pytest.mark.parametrize("turns", range(5))
def test_it_stops_even_when_an_event_comes_at_the_same_moment(turns: int) -> None:
    """However far the event came on its way through the loop."""
    cluster = InMemoryCluster(made(1))

    async def scenario(workers: StudyWorkers) -> None:
        workers.wake(KEY)
        await asyncio.sleep(1.0)  # the trial runs, and the worker waits for events
        workers.wake(KEY)
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(workers.stop(), timeout=5)
        seen = len(cluster.observed)
        await asyncio.sleep(10 * RESYNC_SECONDS)
        assert len(cluster.observed) == seen

    simulate(cluster, scenario)
