"""A node whose Pods are calls of a Python function in this process. Decisions are the operator's own.

A function that is a generator is multi-fidelity: each value that it yields is that after one more unit of the resource.
At a rung it waits, in memory, and a promotion goes on from there.
"""

from __future__ import annotations

import inspect
import json
import math
import threading
import time
import traceback
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hpo_engine.fidelity import watched_levels
from hpo_engine.memory import Memory
from hpo_operator.api.engine_study import engine_study
from hpo_operator.api.parse import parse_study
from hpo_operator.local.store import ObjectStore
from hpo_operator.manifests.pod import PodSettings
from hpo_operator.reconcile.pod_facts import EXIT_INTERRUPTED
from hpo_operator.reconcile.snapshot import Sample
from hpo_operator.simulation.plain import Asked, PlainCluster, Raw, Run

Value = float | Mapping[str, float]
Function = Callable[..., Value | Generator[Value, None, Any]]
OUT_OF_MEMORY, DIVERGED, ERROR = 80, 81, 1
"""Exit codes of docs/trainer-contract.md."""
ENDED = ("Succeeded", "Failed", "Stopped")
"""Phases of trials that never go on."""


class StoppedError(Exception):
    """A trial was told to end before it came to its rung."""


class DivergedError(Exception):
    """A value is no finite number."""


@dataclass
class Calls:
    """One trial's calls of the function. ``curve``: (resource, value) of what it yielded, ascending."""

    going: Generator[Value, None, Any] | None = None
    curve: list[tuple[int, float]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def reached(self) -> int:
        return self.curve[-1][0] if self.curve else 0

    def close(self) -> None:
        if self.going is not None:
            self.going.close()
        self.going, self.curve = None, []


class FunctionCluster(PlainCluster):
    """Calls ``function(parameters)``; with a fidelity and no generator ``function(parameters, resource)``.

    ``store``: where all objects are kept, so that a later process goes on from them. ``first_error``: what the first
    failed call raised.
    """

    def __init__(self, study: Raw, function: Function, store: ObjectStore | None = None) -> None:
        super().__init__(study, PodSettings("python"), datetime.now(UTC), Memory())
        self._function, self._store = function, store
        self._yields = inspect.isgeneratorfunction(function)
        self._metric, self._parallelism = study["spec"]["objective"]["metric"], study["spec"]["budget"]["parallelism"]
        self._watches = bool(watched_levels(engine_study(parse_study(study).spec)))
        self._calls: dict[str, Calls] = {}
        self._futures: set[Future[None]] = set()
        self._changed = threading.Condition(threading.RLock())
        self._saved: dict[tuple[str, str], Raw] = {}
        self.first_error: BaseException | None = None
        if store is not None:
            self._load(store)

    def run(self) -> None:
        """To the study's end. One call at a time happens in the caller's own thread, several in threads of theirs."""
        pool = ThreadPoolExecutor(self._parallelism, "trial") if self._parallelism > 1 else None
        try:
            self._round(pool)  # a study that had ended goes on if its budget was raised
            while not self._is_over():
                self._round(pool)
        finally:
            for calls in list(self._calls.values()):
                calls.stop.set()
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
            for calls in self._calls.values():
                calls.close()
            self._save()

    def _is_over(self) -> bool:
        return bool(self.status.get("completionTime")) or self.status.get("phase") == "Invalid"

    def _round(self, pool: ThreadPoolExecutor | None) -> None:
        with self._changed:
            for future in {future for future in self._futures if future.done()}:
                self._futures.discard(future)
                future.result()  # raises what went wrong here rather than in the function
            wake_at = self._settled()
            due = [name for name, pod in self.pods.items() if pod["status"]["phase"] == "Pending"]
            for name in due:
                self._mark_running(name)
                if pool is None:
                    self._call(name)
                else:
                    self._futures.add(future := pool.submit(self._call, name))
                    future.add_done_callback(self._notify)
            if not self._is_over() and not (due and pool is None):
                pause = None if wake_at is None else max(0.0, (wake_at - datetime.now(UTC)).total_seconds())
                self._changed.wait(pause)

    def _settled(self) -> datetime | None:
        self.now = datetime.now(UTC)
        wake_at = self.settle().wake_at
        self._save()
        for trial, calls in self._calls.items():
            if self.trials[trial].get("status", {}).get("phase") in ENDED:
                calls.close()
        return wake_at

    def _notify(self, _: Future[None]) -> None:
        with self._changed:
            self._changed.notify_all()

    def _call(self, pod: str) -> None:
        """The whole life of a Pod."""
        asked = self.asked(pod)
        calls = self._calls.setdefault(asked.trial, Calls())
        began = time.perf_counter()
        outcome = self._outcome(pod, asked, calls, began)
        with self._changed:
            if outcome.code:
                calls.close()
            self.now = datetime.now(UTC)
            if pod in self.pods:
                self._mark_ended(pod, outcome)

    def _outcome(self, pod: str, asked: Asked, calls: Calls, began: float) -> Run:
        try:
            metrics = self._trained(pod, asked, calls)
        except StoppedError:
            return Run("", EXIT_INTERRUPTED)
        except (Exception, SystemExit) as error:
            self.first_error = self.first_error or error
            return _failure(error)
        message = {"hpo": "measurement", "metrics": metrics, "resource": asked.resource}
        return Run(json.dumps(message | {"seconds": time.perf_counter() - began}))

    def _trained(self, pod: str, asked: Asked, calls: Calls) -> dict[str, float]:
        """Raises whatever the function raises, StoppedError and DivergedError."""
        if not self._yields:
            given = (asked.parameters, asked.resource) if asked.resource else (asked.parameters,)
            value = self._function(*given)
            assert not isinstance(value, Generator)  # by inspect.isgeneratorfunction
            return self._metrics(value)
        if calls.going is None:
            made = self._function(asked.parameters)
            assert isinstance(made, Generator)  # by inspect.isgeneratorfunction
            calls.going = made
        metrics: dict[str, float] = {}
        while calls.reached < asked.resource:
            if calls.stop.is_set():
                raise StoppedError
            try:
                metrics = self._metrics(next(calls.going))
            except StopIteration:
                raise ValueError(f"it yielded {calls.reached} values and was asked for {asked.resource}") from None
            self._seen(pod, calls, metrics[self._metric])
        return metrics

    def _seen(self, pod: str, calls: Calls, value: float) -> None:
        """What a running Pod would show on its page of metrics; a scheduler may want it to end."""
        with self._changed:
            before = tuple(calls.curve)
            calls.curve.append((calls.reached + 1, value))
            self.samples[pod] = Sample(value, calls.reached, before)
            if self._watches:
                self._settled()

    def _metrics(self, value: Value) -> dict[str, float]:
        named = value if isinstance(value, Mapping) else {self._metric: value}
        if self._metric not in named:
            raise KeyError(f"expected the metric {self._metric!r}, found {', '.join(map(repr, named)) or 'none'}")
        metrics = {str(name): float(number) for name, number in named.items()}
        if not math.isfinite(metrics[self._metric]):
            raise DivergedError(f"{self._metric} is {metrics[self._metric]}")
        return {name: number for name, number in metrics.items() if math.isfinite(number)}

    def _terminate(self, name: str) -> None:
        calls = self._calls.get(self.asked(name).trial)
        if calls is not None:
            calls.stop.set()

    def _load(self, store: ObjectStore) -> None:
        """What an earlier process left; its calls ended with it, and charge nobody."""
        stored = store.all("study")
        self.study = stored[0] if stored else self.study
        self.trials = {raw["metadata"]["name"]: raw for raw in store.all("trials")}
        self.pods = {raw["metadata"]["name"]: raw for raw in store.all("pods")}
        for name, pod in list(self.pods.items()):
            if pod["status"]["phase"] == "Pending":
                self._mark_running(name)
            if self.pods[name]["status"]["phase"] == "Running":
                self._mark_ended(name, Run("", EXIT_INTERRUPTED))

    def _save(self) -> None:
        """Objects that are new or were replaced."""
        if self._store is None:
            return
        now = {("study", self.study["metadata"]["name"]): self.study}
        now |= {("trials", name): raw for name, raw in self.trials.items()}
        now |= {("pods", name): raw for name, raw in self.pods.items()}
        for (kind, name), raw in now.items():
            if self._saved.get((kind, name)) is not raw:
                self._store.put(kind, raw)
        for kind, name in self._saved.keys() - now.keys():
            self._store.remove(kind, name)
        self._saved = now


def _failure(error: BaseException) -> Run:
    code = ERROR
    if isinstance(error, MemoryError):
        code = OUT_OF_MEMORY
    elif isinstance(error, DivergedError | FloatingPointError):
        code = DIVERGED
    said = "".join(traceback.format_exception_only(error)).strip()
    return Run(json.dumps({"hpo": "failure", "reason": type(error).__name__, "message": said}), code)
