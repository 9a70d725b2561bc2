"""What happens to the operator: killed again and again, its connections cut, the API server gone, Pods deleted."""

from __future__ import annotations

import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random

from chaos.pods import PodRecord
from stand.control_plane import ControlPlane, ControlPlaneError
from stand.operator_process import OperatorProcess
from stand.proxy import Proxy

READY_SECONDS = 60.0
RESTART_EVERY, CUT_EVERY, DELETE_EVERY = 15, 7, 8
"""In kills of the operator."""


class Storm:
    """``counts``: what was done so far. ``own_exits``: how often the operator had ended by itself.

    ``deleted``: names of Pods.
    """

    def __init__(
        self, plane: ControlPlane, operator: OperatorProcess, proxy: Proxy, pods: PodRecord, namespace: str, seed: int
    ) -> None:
        self._plane, self._operator, self._proxy, self._pods = plane, operator, proxy, pods
        self._namespace, self._chance = namespace, Random(seed)
        self.counts: Counter[str] = Counter()
        self.own_exits = 0
        self.deleted: set[str] = set()

    def strike(self) -> None:
        """One life of the operator, to its violent end and the start of the next."""
        number = self.counts["kills"] + 1
        self._live()
        if number % CUT_EVERY == 0:
            self.counts["cut connections"] += self._proxy.cut()
            self.counts["cuts"] += 1
            self._wait_ready()
            time.sleep(self._chance.uniform(0, 2))
        if number % DELETE_EVERY == 0:
            self._delete_a_pod()
        if not self._operator.daemon.alive():
            self.own_exits += 1
        self._plane.kill("operator")
        self.counts["kills"] += 1
        if number % RESTART_EVERY == 0:
            self._plane.restart_apiserver(down_seconds=self._chance.uniform(0, 2))
            self.counts["API server restarts"] += 1
        self._operator.start()

    def _live(self) -> None:
        """Until the moment to strike: while it starts, at any time, or just when a Pod has ended and must be judged."""
        when = self._chance.random()
        if when < 0.2:
            time.sleep(self._chance.uniform(0, 2))
            return
        self._wait_ready()
        if when < 0.5:
            time.sleep(self._chance.uniform(0, 3))
            return
        self._pods.ended.clear()
        self._pods.ended.wait(timeout=5)
        time.sleep(self._chance.uniform(0, 0.25))

    def _delete_a_pod(self) -> None:
        """As a preemption: it may have ended meanwhile."""
        alive = self._pods.alive()
        if alive:
            victim = self._chance.choice(alive)
            with suppress(ControlPlaneError):
                self._plane.kubectl("-n", self._namespace, "delete", "pod", victim, "--wait=false")
                self.deleted.add(victim)
                self.counts["deleted Pods"] += 1

    def _wait_ready(self) -> None:
        self.until(self._is_ready, READY_SECONDS)

    def _is_ready(self) -> bool:
        if not self._operator.daemon.alive():  # as a kubelet would
            self.own_exits += 1
            self._operator.start()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._operator.port}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @staticmethod
    def until(true: Callable[[], bool], seconds: float) -> None:
        """Look ten times a second; gives up without a word, the end will tell."""
        deadline = time.monotonic() + seconds
        while not true() and time.monotonic() < deadline:
            time.sleep(0.1)
