"""Every change of every Pod in one namespace, in the order in which the API server made them."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

from stand.api import UNREACHABLE, Api, ApiError, connect

Raw = dict[str, Any]
STUDY, TRIAL = "hpo.study/study", "hpo.study/trial"
OVER = ("Succeeded", "Failed")


class PodRecord:
    """A watch that goes on where it was when the API server comes back, in a thread of its own.

    ``most``: the largest number of a study's Pods that had not ended, after any change. ``uids``: by Pod name, all Pods
    that ever had it. ``succeeded``: names by trial. ``lists``: how often it began with a list, since the API server had
    been restarted and forgotten its changes. ``ended``: set whenever a Pod has.
    """

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._kubeconfig, self._path = kubeconfig, f"/api/v1/namespaces/{namespace}/pods"
        self._alive: defaultdict[str, set[str]] = defaultdict(set)
        self.most: defaultdict[str, int] = defaultdict(int)
        self.uids: defaultdict[str, set[str]] = defaultdict(set)
        self.succeeded: defaultdict[str, set[str]] = defaultdict(set)
        self.studies: dict[str, str] = {}
        self.lists = 0
        self.changes = 0
        self.ended = threading.Event()

    def start(self) -> None:
        threading.Thread(target=lambda: asyncio.run(self._follow()), name="pods", daemon=True).start()

    def alive(self) -> list[str]:
        """Names of the Pods that run or wait to, in their order."""
        return sorted(name for names in list(self._alive.values()) for name in list(names))

    async def _follow(self) -> None:
        async with await connect(self._kubeconfig) as kube:
            api = Api(kube)
            while True:
                with suppress(ApiError, *UNREACHABLE):
                    listed = await api.get(self._path)
                    self._see_all(listed["items"])
                    await self._watch(api, listed["metadata"]["resourceVersion"])
                await asyncio.sleep(0.05)

    async def _watch(self, api: Api, version: str) -> None:
        """Until the API server does not know any more what came after ``version``, as when it was restarted."""
        while True:
            try:
                async for event in api.watch(self._path, {"resourceVersion": version}):
                    version = event["object"]["metadata"]["resourceVersion"]
                    self._see(event["type"], event["object"])
            except ApiError as error:
                if error.code == 410:
                    return
            except UNREACHABLE:
                pass
            await asyncio.sleep(0.05)

    def _see_all(self, pods: list[Raw]) -> None:
        self.lists += 1
        present = {pod["metadata"]["name"] for pod in pods}
        for alive in self._alive.values():
            alive &= present
        for pod in pods:
            self._see("LISTED", pod)

    def _see(self, kind: str, pod: Raw) -> None:
        name, labels = pod["metadata"]["name"], pod["metadata"]["labels"]
        study, phase = labels[STUDY], pod.get("status", {}).get("phase")
        over = kind == "DELETED" or phase in OVER
        self.changes += 1
        self.studies[name] = study
        self.uids[name].add(pod["metadata"]["uid"])
        if phase == "Succeeded":
            self.succeeded[labels[TRIAL]].add(name)
        (self._alive[study].discard if over else self._alive[study].add)(name)
        self.most[study] = max(self.most[study], len(self._alive[study]))
        if over:
            self.ended.set()
