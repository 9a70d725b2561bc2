"""A study observed and acted upon over HTTP, while the API server is slow, overloaded, forgetful or silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from hpo_operator.kube.client import ApiServer, resource_of
from hpo_operator.kube.cluster import KubeCluster, StudyKey
from hpo_operator.kube.errors import RefusedError, TemporaryError
from hpo_operator.kube.mirror import KINDS
from hpo_operator.reconcile.actions import CreateTrial
from kube.fake_api import FakeApi, Raw

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = StudyKey("lab", "demo")


def trial(name: str, study: str = "demo", owner: str = "the-study") -> Raw:
    reference = {"uid": owner, "controller": True}
    return {"metadata": {"name": name, "labels": {"hpo.study/study": study}, "ownerReferences": [reference]}}


@pytest.fixture
def api() -> FakeApi:
    fake = FakeApi()
    fake.put("hpostudies", {"metadata": {"name": "demo", "uid": "the-study"}})
    return fake


@asynccontextmanager
async def connected(api: FakeApi) -> AsyncIterator[tuple[KubeCluster, list[str]]]:
    """The cluster, and the codes of all answers."""
    codes: list[str] = []
    async with api.served() as configuration, ApiServer(configuration, lambda *told: codes.append(told[2])) as server:
        yield KubeCluster(server), codes


def names(snapshot: Any) -> list[str]:
    return [raw["metadata"]["name"] for raw in snapshot.trials]


async def test_all_pieces_of_a_list_are_read_and_only_what_the_study_owns_is_seen(api: FakeApi) -> None:
    for i in range(5):
        api.put("hpotrials", trial(f"demo-{i}"))
    api.put("hpotrials", trial("demo-9", owner="an earlier study of this name"))
    async with connected(api) as (cluster, _):
        assert names(await cluster.observe(KEY)) == [f"demo-{i}" for i in range(5)]
        asked = len(api.asked)
        assert names(await cluster.observe(KEY)) == [f"demo-{i}" for i in range(5)]
        assert len(api.asked) == asked  # what is known is not asked for again


async def test_studies_that_come_together_are_listed_together(api: FakeApi) -> None:
    for i in range(30):
        api.put("hpostudies", {"metadata": {"name": f"s{i}", "uid": f"u{i}"}})
        api.put("hpotrials", trial(f"s{i}-0", f"s{i}", f"u{i}"))
    async with connected(api) as (cluster, _):
        seen = await asyncio.gather(*(cluster.observe(StudyKey("lab", f"s{i}")) for i in range(30)))
    assert [names(snapshot) for snapshot in seen] == [[f"s{i}-0"] for i in range(30)]
    begun = [query for _, kind, query in api.asked if kind == "hpotrials" and "continue" not in query]
    assert len(begun) == 2  # the first one's, and one for all who came meanwhile


async def test_what_no_event_told_of_is_found_and_told(api: FakeApi) -> None:
    """Studies are listed at an easy pace; what has not changed is the very same object, which was read already."""
    api.put("hpotrials", trial("demo-0"))
    api.put("hpostudies", {"metadata": {"name": "other", "uid": "another-study"}})
    told: asyncio.Queue[StudyKey] = asyncio.Queue()
    async with connected(api) as (cluster, _):
        await cluster.observe(StudyKey("lab", "other"))
        before = await cluster.observe(KEY)
        comparing = asyncio.create_task(cluster.keep_comparing(told.put_nowait, seconds=0.05))
        with suppress(TimeoutError):
            assert not await asyncio.wait_for(told.get(), 0.5)
        assert len(api.asked) > 2 * len(KINDS)  # both studies, each alone; then both together
        api.put("hpotrials", trial("demo-1"))
        assert await told.get() == KEY
        comparing.cancel()
        after = await cluster.observe(KEY)
    assert names(after) == ["demo-0", "demo-1"]
    assert before is not None and after is not None
    assert after.trials[0] is before.trials[0]
    assert after.study is before.study
    assert told.empty()


async def test_echoes_of_the_last_writes_to_a_study_are_no_news(api: FakeApi) -> None:
    async with connected(api) as (cluster, _):
        snapshot = await cluster.observe(KEY)
        assert snapshot is not None
        await cluster.perform(snapshot.study, CreateTrial(trial("demo-0")), NOW)
        cluster.forget(KEY)
        last = api.objects["hpotrials"]["demo-0"]
        assert not cluster.learn(KEY, "hpotrials", "ADDED", last)
        assert not cluster.learn(KEY, "hpotrials", None, last)  # a watch lists anew
        assert cluster.learn(KEY, "hpotrials", "DELETED", last)
        api.put("hpotrials", trial("demo-0"))
        assert cluster.learn(KEY, "hpotrials", "MODIFIED", api.objects["hpotrials"]["demo-0"])
        assert cluster.learn(KEY, "hpotrials", "ADDED", trial("demo-1") | {"metadata": {"name": "demo-1"}})
        assert cluster.learn(StudyKey("lab", "other"), "hpotrials", "ADDED", last)


async def test_what_was_deleted_while_a_watch_was_broken_is_found_soon(api: FakeApi) -> None:
    """When it is there again the watch lists, and so tells of what there is, but not of what there was."""
    api.put("hpotrials", trial("demo-0"))
    api.put("hpotrials", trial("demo-1"))
    told: asyncio.Queue[StudyKey] = asyncio.Queue()
    async with connected(api) as (cluster, _):
        assert names(await cluster.observe(KEY)) == ["demo-0", "demo-1"]
        comparing = asyncio.create_task(cluster.keep_comparing(told.put_nowait, seconds=3600))
        del api.objects["hpotrials"]["demo-0"]
        assert not cluster.learn(KEY, "hpotrials", None, api.objects["hpotrials"]["demo-1"])
        assert await told.get() == KEY
        comparing.cancel()
        assert names(await cluster.observe(KEY)) == ["demo-1"]


def pod(name: str, trial: str, owner: str) -> Raw:
    labels = {"hpo.study/study": "demo", "hpo.study/trial": trial}
    reference = {"uid": owner, "controller": True}
    return {
        "metadata": {"name": name, "uid": f"uid of {name}", "labels": labels, "ownerReferences": [reference]},
        "spec": {"containers": [{"name": "trainer"}]},
        "status": {"phase": "Running"},
    }


async def test_the_last_pods_of_a_study_wake_nobody_when_they_go(api: FakeApi) -> None:
    """But one that cleans checkpoints is made again."""
    api.put("pods", pod("demo-0-r0-a0", "demo-0", "the-trial"))
    cleaner = pod("demo-clean", "", "the-study")
    del cleaner["metadata"]["labels"]["hpo.study/trial"]
    api.put("pods", cleaner)
    async with connected(api) as (cluster, _):
        await cluster.observe(KEY)
        cluster.forget(KEY)
        assert not cluster.learn(KEY, "pods", "DELETED", api.objects["pods"]["demo-0-r0-a0"])
        assert cluster.learn(KEY, "pods", "DELETED", api.objects["pods"]["demo-clean"])


async def test_a_pod_that_went_is_told_until_its_trial_knows(api: FakeApi) -> None:
    for i, status in enumerate([{}, {"attempt": 1}, {"failure": {"reason": "Diverged"}}]):
        made = trial(f"demo-{i}")
        api.put("hpotrials", made | {"metadata": made["metadata"] | {"uid": f"uid-{i}"}, "spec": {}, "status": status})
        api.put("pods", pod(f"demo-{i}-r0-a0", f"demo-{i}", f"uid-{i}"))
    api.put("pods", pod("demo-0-r0-a9", "demo-0", "a trial of that name before"))
    async with connected(api) as (cluster, _):
        await cluster.observe(KEY)
        for name in sorted(api.objects["pods"]):
            cluster.learn(KEY, "pods", "DELETED", api.objects["pods"][name])
        for _ in range(2):  # as long as its status does not tell
            snapshot = await cluster.observe(KEY)
            assert snapshot is not None
            assert [raw["metadata"]["name"] for raw in snapshot.departed] == ["demo-0-r0-a0"]
            assert snapshot.pods == ()
        known = api.objects["hpotrials"]["demo-0"] | {"status": {"attempt": 1}}
        api.put("hpotrials", known)
        cluster.learn(KEY, "hpotrials", "MODIFIED", api.objects["hpotrials"]["demo-0"])
        snapshot = await cluster.observe(KEY)
        assert snapshot is not None
        assert snapshot.departed == ()


async def test_a_write_without_an_answer_is_looked_for_by_its_name(api: FakeApi) -> None:
    """The server stores the trial and dies before it says so."""

    async def store_and_hang_up(request: web.Request) -> web.StreamResponse | None:
        if request.method == "POST":
            api.put("hpotrials", await request.json())
            assert request.transport is not None
            request.transport.abort()
        return None

    async with connected(api) as (cluster, codes):
        snapshot = await cluster.observe(KEY)
        assert snapshot is not None
        api.fault = store_and_hang_up
        with pytest.raises(TemporaryError, match=r"POST .*/hpotrials: ."):
            await cluster.perform(snapshot.study, CreateTrial(trial("demo-0")), NOW)
        assert codes[-1] == "none"
        api.asked.clear()
        assert names(await cluster.observe(KEY)) == ["demo-0"]
    assert [(method, query.get("fieldSelector")) for method, _, query in api.asked] == [("GET", "metadata.name=demo-0")]


async def test_what_is_there_already_is_read(api: FakeApi) -> None:
    async with connected(api) as (cluster, codes):
        snapshot = await cluster.observe(KEY)
        assert snapshot is not None
        api.put("hpotrials", trial("demo-0"))  # by another, and its event is late
        await cluster.perform(snapshot.study, CreateTrial(trial("demo-0")), NOW)
        assert codes[-1] == "409"
        assert names(await cluster.observe(KEY)) == ["demo-0"]


@pytest.mark.parametrize(
    ("status", "headers", "kind", "retry_after"),
    [
        (410, {}, TemporaryError, 0),
        (429, {"Retry-After": "7"}, TemporaryError, 7),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, TemporaryError, 0),
        (500, {}, TemporaryError, 0),
        (503, {"Retry-After": "1"}, TemporaryError, 1),
        (403, {}, RefusedError, 0),
    ],
)
async def test_a_list_that_fails_in_its_second_piece_changes_nothing(
    api: FakeApi, status: int, headers: dict[str, str], kind: type[Exception], retry_after: float
) -> None:
    """410: etcd was compacted meanwhile, and does not know that moment any more."""
    for i in range(3):
        api.put("hpotrials", trial(f"demo-{i}"))

    async def fail(request: web.Request) -> web.StreamResponse | None:
        if "continue" not in request.query:
            return None
        return web.json_response({"message": "not now"}, status=status, headers=headers)

    api.fault = fail
    async with connected(api) as (cluster, _):
        with pytest.raises(kind, match="not now") as raised:
            await cluster.observe(KEY)
        assert getattr(raised.value, "retry_after", None) == retry_after
        api.fault = FakeApi().fault
        assert names(await cluster.observe(KEY)) == ["demo-0", "demo-1", "demo-2"]


async def test_a_study_that_is_gone(api: FakeApi) -> None:
    async with connected(api) as (cluster, _):
        assert await cluster.observe(KEY) is not None
        assert await cluster.observe(StudyKey("lab", "another")) is None
        gone = api.objects["hpostudies"].pop("demo")
        assert cluster.learn(KEY, "hpostudies", "DELETED", gone)
        assert await cluster.observe(KEY) is None


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/namespaces/lab/pods", "pods"),
        ("/api/v1/namespaces/lab/pods/a", "pods"),
        ("/apis/hpo.study/v1alpha1/namespaces/lab/hpotrials/a/status", "hpotrials/status"),
        ("/apis/hpo.study/v1alpha1", ""),
    ],
)
def test_the_resource_of_a_path(path: str, resource: str) -> None:
    assert resource_of(path) == resource
