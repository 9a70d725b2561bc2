"""``python -m scale.kubelet``: a kubelet without containers, as a process of its own.

Each Pod of a study is Running as soon as it is seen, exposes one sample on /metrics, and succeeds after a drawn time
with a measurement in its termination message. All Pods share one address. When told to stop (SIGTERM) it writes what
it saw: how long after the end of a study's Pod the next one of that study appeared.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import signal
import time
from collections import defaultdict, deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from hpo_operator.manifests.names import STUDY_LABEL, TRIAL_LABEL
from hpo_operator.manifests.pod import METRICS_PORT
from scale.load import FIDELITY, NAMESPACE, REFILLS
from stand.api import Api, ApiError, connect

Raw = dict[str, Any]
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
PAGE = 'hpo_trial_metric{name="loss"} 1.0\nhpo_trial_resource 1\n'
LAG_SECONDS = 0.05


def drawn(pod: Raw, mean: float) -> tuple[float, float]:
    """Seconds of training and the loss, both fixed by the Pod's name and what it was asked for."""
    env = {entry["name"]: entry.get("value", "") for entry in pod["spec"]["containers"][0]["env"]}
    share = int(env.get("HPO_RESOURCE", FIDELITY["max"])) / FIDELITY["max"]
    digest = hashlib.sha256(pod["metadata"]["name"].encode()).digest()
    rng = random.Random(digest)
    loss = abs(float(env["HPO_PARAM_learningRate"]) - 0.01) * 10 + rng.uniform(0.0, 0.1) + (1 - share)
    return mean * rng.uniform(0.5, 1.5) * max(share, 1 / 3), loss


class Kubelet:
    """``address``: of all its Pods. ``mean``: seconds of a whole training. ``budget``: trials of each study."""

    def __init__(self, api: Api, address: str, mean: float, budget: int) -> None:
        self._api, self._address, self._mean, self._budget = api, address, mean, budget
        self._trials: dict[str, set[str]] = defaultdict(set)
        self._seen: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: dict[str, deque[float]] = defaultdict(deque)
        self.gaps: list[float] = []
        self.lags: list[float] = []
        self.running = self.most_running = 0

    async def watch(self) -> None:
        """For ever: list, then watch from there; after an interrupted watch again."""
        while True:
            listed = await self._api.get(PODS)
            for pod in listed["items"]:
                self._meet(pod)
            try:
                version = listed["metadata"]["resourceVersion"]
                async for event in self._api.watch(PODS, {"resourceVersion": version, "allowWatchBookmarks": "false"}):
                    if event["type"] == "ADDED":
                        self._meet(event["object"])
            except ApiError:
                continue

    async def measure_lag(self) -> None:
        """How late this process itself is, which what it measures contains."""
        while True:
            due = time.monotonic() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self.lags.append(time.monotonic() - due)

    def _meet(self, pod: Raw) -> None:
        name = pod["metadata"]["name"]
        if name in self._seen:
            return
        self._seen.add(name)
        study = pod["metadata"]["labels"][STUDY_LABEL]
        # Once a study's last trial has begun, a slot may rightly stay empty: the next Pod answers nobody's end.
        if len(self._trials[study]) == self._budget:
            self._ended[study].clear()
        self._trials[study].add(pod["metadata"]["labels"][TRIAL_LABEL])
        if self._ended[study]:
            self.gaps.append(time.monotonic() - self._ended[study].popleft())
        task = asyncio.create_task(self._live(pod, study), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self, pod: Raw, study: str) -> None:
        name, started = pod["metadata"]["name"], _now()
        await self._report(name, "Running", {"running": {"startedAt": started}})
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        seconds, loss = drawn(pod, self._mean)
        await asyncio.sleep(seconds)
        message = json.dumps({"hpo": "measurement", "metrics": {"loss": loss}})
        end = {"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": _now(), "message": message}
        await self._report(name, "Succeeded", {"terminated": end})
        self.running -= 1
        if study.startswith(REFILLS):
            self._ended[study].append(time.monotonic())

    async def _report(self, name: str, phase: str, state: Raw) -> None:
        container = {"name": "trainer", "image": "none", "imageID": "", "ready": phase == "Running", "restartCount": 0}
        status = {"phase": phase, "podIP": self._address, "containerStatuses": [container | {"state": state}]}
        await self._api.patch(f"{PODS}/{name}/status", {"status": status})


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    app = web.Application()
    app.add_routes([web.get("/metrics", page)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, arguments.address, METRICS_PORT).start()
    async with await connect(arguments.kubeconfig) as kube:
        kubelet = Kubelet(Api(kube), arguments.address, arguments.seconds, arguments.budget)
        work = [asyncio.create_task(kubelet.watch()), asyncio.create_task(kubelet.measure_lag())]
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, *work], return_when=asyncio.FIRST_COMPLETED)
        for task in work:
            if task.done():
                task.result()  # it ended by itself: say why
            task.cancel()
    await runner.cleanup()
    seen = {"gaps": kubelet.gaps, "lags": kubelet.lags, "most_running": kubelet.most_running}
    arguments.out.write_text(json.dumps(seen))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--budget", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
