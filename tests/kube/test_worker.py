"""The worker of a study against a cluster that fails in every way an API server does, in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from hpo_operator.kube.errors import ClusterError, ConflictError, NotFoundError, RefusedError, TemporaryError
from hpo_operator.kube.worker import RESYNC_SECONDS
from hpo_operator.kube.workers import StudyWorkers
from hpo_operator.reconcile.actions import Action, CreatePod, CreateTrial, PutStudyStatus, PutTrialStatus
from kube.in_memory import KEY, InMemoryCluster, made, served, simulate, undisturbed


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
