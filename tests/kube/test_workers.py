"""When the worker of a study begins and ends."""

from __future__ import annotations

import asyncio

import pytest

from hpo_operator.kube.worker import RESYNC_SECONDS
from hpo_operator.kube.workers import StudyWorkers
from kube.in_memory import KEY, InMemoryCluster, made, served, simulate, undisturbed


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
