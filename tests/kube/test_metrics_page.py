"""A running trial's /metrics page over real HTTP: right, wrong, huge, endless, slow and hostile."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from hpo_operator.kube.metrics_page import MAX_PAGE_BYTES, TIMEOUT_SECONDS, fetch_sample, read_sample
from hpo_operator.reconcile.snapshot import Sample
from hpo_trainer.report import Reporter

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[int]]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server whose /metrics is the handler; answers its port."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> int:
        app = web.Application()
        app.add_routes([web.get("/metrics", handler), web.get("/elsewhere", handler)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        return int(runner.addresses[0][1])

    yield start
    for runner in runners:
        await runner.cleanup()


def text(body: str | bytes, **more: object) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, **more)  # type: ignore[arg-type]

    return handler


async def fetched(session: aiohttp.ClientSession, port: int, trial: str | None = None) -> Sample | None:
    """The sample, which must have come in time."""
    began = time.monotonic()
    sample = await fetch_sample(session, "127.0.0.1", port, "dice", trial)
    assert time.monotonic() - began < TIMEOUT_SECONDS + 1.0
    return sample


# --- pages that are right


async def test_the_trainers_own_page(session: aiohttp.ClientSession, unused_port: int) -> None:
    """Written by the real reporter, read by the real reader."""
    given = {"HPO_METRICS_HOST": "127.0.0.1", "HPO_METRICS_PORT": str(unused_port), "HPO_TRIAL": "demo-3"}
    Reporter(given, serve=True).report({"dice": 0.8, "loss": 0.3}, resource=5)
    assert await fetched(session, unused_port, "demo-3") == Sample(0.8, 5)
    assert await fetched(session, unused_port, "demo-4") is None
    assert await fetched(session, unused_port) == Sample(0.8, 5)


async def test_the_trainers_own_curve(session: aiohttp.ClientSession, unused_port: int) -> None:
    given = {"HPO_METRICS_HOST": "127.0.0.1", "HPO_METRICS_PORT": str(unused_port), "HPO_OBJECTIVE": "dice"}
    reporter = Reporter(given, serve=True)
    for epoch in range(1, 1001):
        reporter.report({"dice": epoch / 1000, "loss": 1.0}, resource=epoch)
    expected = tuple((epoch, epoch / 1000) for epoch in range(501, 1000))
    assert await fetched(session, unused_port) == Sample(1.0, 1000, expected)


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PAGES: dict[str, tuple[str, Sample | None]] = {
    "ours": ('hpo_trial_metric{name="dice"} 0.8\nhpo_trial_resource 5\n', Sample(0.8, 5)),
    "ours without a resource": ('hpo_trial_metric{name="dice"} 0.8\n', Sample(0.8, 0)),
    "ours beats the plain name": ('dice 0.1\nhpo_trial_metric{name="dice"} 0.8\ndice{x="1"} 0.2\n', Sample(0.8, 0)),
    "ours among others": ('hpo_trial_metric{name="loss"} 3\nhpo_trial_metric{name="dice"} 0.8\n', Sample(0.8, 0)),
    "the plain name": ("# HELP dice is nice\n# TYPE dice gauge\ndice 0.5\n", Sample(0.5, 0)),
    "the plain name with labels": ('dice{fold="1"} 0.5\n', Sample(0.5, 0)),
    "the plain name with a timestamp": ("dice 0.5 1700000000000\n", Sample(0.5, 0)),
    "the plain name twice": ('dice{fold="1"} 0.5\ndice{fold="2"} 0.6\n', None),
    "only names that begin alike": ("dice_total 0.5\ndice2 0.6\n", None),
    "another metric of ours": ('hpo_trial_metric{name="loss"} 0.5\n', None),
    "not a number": ('hpo_trial_metric{name="dice"} NaN\n', None),
    "infinite": ('hpo_trial_metric{name="dice"} +Inf\n', None),
    "not a number, but a plain one is": ('hpo_trial_metric{name="dice"} NaN\ndice 0.5\n', None),
    "a resource that is none": ("dice 0.5\nhpo_trial_resource NaN\n", Sample(0.5, 0)),
    "a negative resource": ("dice 0.5\nhpo_trial_resource -3\n", Sample(0.5, 0)),
    "an infinite resource": ("dice 0.5\nhpo_trial_resource +Inf\n", Sample(0.5, 0)),
    "with its curve": (
        "dice 0.5\nhpo_trial_resource 3\n"
        + "".join(f'hpo_trial_curve{{name="dice",resource="{r}"}} 0.{r}\n' for r in (2, 1, 3, 9))
        + 'hpo_trial_curve{name="loss",resource="1"} 7\nhpo_trial_curve{name="dice",resource="0"} NaN\n',
        Sample(0.5, 3, ((1, 0.1), (2, 0.2))),
    ),
    "a curve at an amount that is none": ('dice 0.5\nhpo_trial_curve{name="dice",resource="all"} 0.5\n', None),
    "of another trial": ('hpo_trial_info{trial="demo-4"} 1\ndice 0.5\n', None),
    "of this trial": ('hpo_trial_info{trial="demo-3"} 1\ndice 0.5\n', Sample(0.5, 0)),
    "empty": ("", None),
    "broken elsewhere": ('garbage{{{ 1 2 3\ndice 0.5\n"\n', Sample(0.5, 0)),
    "broken here": ('dice{x="1 0.5\n', None),
    "no value": ("dice\n", None),
    "text for a value": ("dice excellent\n", None),
}


@pytest.mark.parametrize(("page", "sample"), PAGES.values(), ids=list(PAGES))
async def test_pages(session: aiohttp.ClientSession, serve: Serve, page: str, sample: Sample | None) -> None:
    assert await fetched(session, await serve(text(page)), "demo-3") == sample


# --- pages that are none


async def test_nobody_answers(session: aiohttp.ClientSession, unused_port: int) -> None:
    assert await fetched(session, unused_port) is None


@pytest.mark.parametrize("status", [204, 301, 404, 500])
async def test_other_statuses(session: aiohttp.ClientSession, serve: Serve, status: int) -> None:
    assert await fetched(session, await serve(text("" if status == 204 else "dice 0.5\n", status=status))) is None


async def test_a_redirect_is_not_followed(session: aiohttp.ClientSession, serve: Serve) -> None:
    """A container must not send the operator to other places of the cluster's network."""
    visited: list[str] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        visited.append(request.path)
        if request.path == "/metrics":
            raise web.HTTPFound("/elsewhere")
        return web.Response(text="dice 0.5\n")

    assert await fetched(session, await serve(elsewhere)) is None
    assert visited == ["/metrics"]


async def test_ten_megabytes(session: aiohttp.ClientSession, serve: Serve) -> None:
    assert await fetched(session, await serve(text("dice 0.5\n" + "x" * 10_000_000))) is None


async def test_ten_megabytes_in_ten_kilobytes(session: aiohttp.ClientSession, serve: Serve) -> None:
    packed = gzip.compress(b"dice 0.5\n" + b"\n" * 10_000_000)
    assert len(packed) < MAX_PAGE_BYTES
    assert await fetched(session, await serve(text(packed, headers={"Content-Encoding": "gzip"}))) is None


async def test_broken_compression(session: aiohttp.ClientSession, serve: Serve) -> None:
    assert await fetched(session, await serve(text(b"dice 0.5\n", headers={"Content-Encoding": "gzip"}))) is None


@pytest.mark.parametrize("pause", [0.0, 0.05])
async def test_a_page_without_an_end(session: aiohttp.ClientSession, serve: Serve, pause: float) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"dice 0.5\n" * 1000)
            await asyncio.sleep(pause)

    assert await fetched(session, await serve(endless)) is None


async def test_a_slow_page(session: aiohttp.ClientSession, serve: Serve) -> None:
    never = asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response(text="dice 0.5\n")

    assert await fetched(session, await serve(slow)) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff" * 1000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ndice 0.5\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\ndice 0.5\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
async def test_what_is_no_http(session: aiohttp.ClientSession, answer: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        assert await fetched(session, server.sockets[0].getsockname()[1]) is None


async def test_binary_nonsense(session: aiohttp.ClientSession, serve: Serve) -> None:
    assert await fetched(session, await serve(text(bytes(range(256)) * 100))) is None


# --- pages of the allowed size that are hard to read

HARD: dict[str, str] = {
    "many series": "".join(f'hpo_trial_metric{{name="m{i}"}} {i}\n' for i in range(20_000)),
    "many series of its name": "".join(f'dice{{fold="{i}"}} {i}\n' for i in range(40_000)),
    "many labels": "dice{" + ",".join(f'l{i}="{i}"' for i in range(60_000)) + "} 1\n",
    "a long label": 'dice{x="' + "y" * 900_000 + '"} 1\n',
    "a label of escapes": 'dice{x="' + "\\\\" * 450_000 + '"} 1\n',
    "a label without an end": 'dice{x="' + '\\"' * 450_000,
    "braces": "dice" + "{" * 900_000 + "\n",
    "quotes": "dice{" + '"' * 900_000 + "\n",
    "commas": "dice{" + "," * 900_000 + "} 1\n",
    "spaces": "dice" + " " * 900_000 + "1\n",
    "a long number": "dice " + "9" * 900_000 + "\n",
}


@pytest.mark.parametrize("page", HARD.values(), ids=list(HARD))
def test_a_page_that_is_hard_to_read_does_not_hold_the_operator_up(page: str) -> None:
    assert len(page) <= MAX_PAGE_BYTES
    began = time.process_time()
    sample = read_sample(page, "dice")
    assert time.process_time() - began < 0.5
    assert sample in (None, Sample(1.0, 0))


words = st.sampled_from(
    [
        "dice",
        "hpo_trial_metric",
        "hpo_trial_resource",
        "hpo_trial_info",
        "name",
        "trial",
        *'{}"=,\\# \n1',
        "NaN",
        "1e999",
    ]
)


@given(st.lists(words | st.text(max_size=3), max_size=40).map("".join))
def test_no_page_raises(page: str) -> None:
    sample = read_sample("dice" + page, "dice", "demo-3")
    assert sample is None or abs(sample.value) < float("inf")
