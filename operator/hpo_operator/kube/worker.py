"""One worker per study: woken by any event, it observes, decides and performs until nothing is left to do.

The same worker drives a study on the API server and in ``hpo run``; it knows no kopf and no client. What it keeps in
memory (the latest samples, the last refusals) is observation, not state: losing it costs nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime
from typing import Any

import aiohttp

from hpo_engine.memory import Memory
from hpo_operator.kube.cluster import Cluster, StudyKey
from hpo_operator.kube.errors import ClusterError, NotFoundError, RefusedError, TemporaryError
from hpo_operator.kube.metrics_page import fetch_sample
from hpo_operator.kube.outcomes import Outcomes
from hpo_operator.kube.prometheus import ask
from hpo_operator.kube.stages import in_stages
from hpo_operator.manifests.names import TRIAL_LABEL
from hpo_operator.manifests.pod import METRICS_PORT, PodSettings
from hpo_operator.reconcile.actions import Action, AdoptTrial, CreatePod, CreateTrial
from hpo_operator.reconcile.decide import Decision, decide
from hpo_operator.reconcile.queries import Answer, Question, Unanswered
from hpo_operator.reconcile.snapshot import Sample, Snapshot
from hpo_operator.telemetry.metrics import OperatorMetrics

log = logging.getLogger(__name__)

RESYNC_SECONDS = 60.0
"""A study that is not finished is looked at this often even if no event comes."""
LONGEST_BACKOFF_SECONDS = 60.0
REFUSAL_SECONDS = 30.0
"""What the API server refused (a Pod by quota or admission, an adoption) is asked for again after this long."""
STATUS_SECONDS = 1.0
"""While there is always something to do, the study's status is stored this often."""
ACTIONS_AT_ONCE = 8
"""Of one study."""


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """``sample_seconds``: how often the /metrics of running trials are read, and a silent Prometheus is asked again.

    ``prometheus``: addresses of the servers that studies may ask, by name.
    """

    pod: PodSettings
    sample_seconds: float = 5.0
    prometheus: Mapping[str, str] = dataclasses.field(default_factory=dict)


class StudyWorker:
    """Runs until the study is gone, or finished with nothing left to do. ``wake`` may be called at any time."""

    def __init__(
        self,
        key: StudyKey,
        cluster: Cluster,
        settings: WorkerSettings,
        session: aiohttp.ClientSession,
        executor: Executor,
        clock: Callable[[], datetime],
        metrics: OperatorMetrics,
    ) -> None:
        self.key, self._cluster, self._settings = key, cluster, settings
        self._session, self._executor, self._clock, self._metrics = session, executor, clock, metrics
        self._woken = asyncio.Event()
        self._samples: dict[str, Sample] = {}
        self._memory: tuple[object, Memory] = (None, Memory())
        self._refusals: dict[str, tuple[str, datetime]] = {}
        self._snapshot: Snapshot | None = None
        self._training: tuple[str, ...] = ()
        self._sample_due = self._status_due = 0.0  # on the event loop's clock
        self._answers: dict[str, Answer] = {}
        self._questions: tuple[Question, ...] = ()
        self._question_due = 0.0  # on the event loop's clock
        self._at_once = asyncio.Semaphore(ACTIONS_AT_ONCE)
        self._woken.set()

    def wake(self) -> None:
        """Something may have changed."""
        self._woken.set()

    @property
    def is_woken(self) -> bool:
        return self._woken.is_set()

    async def run(self) -> None:
        """Serve the study; returns when there is no more to do for it."""
        failures = 0
        pause: float | None = 0.0  # the first look is at once
        while pause is not None:
            await self._sleep(pause)
            self._woken.clear()
            try:
                with self._metrics.reconcile_seconds.time():
                    decision = await self._settle()
                pause, failures = self._pause(decision), 0
            except ClusterError as error:
                failures += 1
                pause = min(max(2.0 ** (failures - 1), error.retry_after), LONGEST_BACKOFF_SECONDS)
                self._metrics.reconcile_errors.labels(reason=type(error).__name__).inc()
                log.warning("study %s: %s; trying again in %.0f s", self.key, error.message, pause)
                await asyncio.sleep(pause)  # not _sleep: events do not shorten a back-off
                pause = 0.0

    async def _settle(self) -> Decision | None:
        """Decide and perform until a decision asks for nothing; None when the study is gone.

        Raises:
            TemporaryError: what was done had no effect, as when an old Pod is still in the way of a new one, or when
                the API server's CRD is older than this operator and drops a field. To do it again at once would be an
                endless loop.
        """
        before: tuple[Action, ...] = ()
        while True:
            observed = await self._cluster.observe(self.key)
            if observed is None:
                self._metrics.forget_study(self.key.namespace, self.key.name)
                return None
            self._metrics.observe_study(self.key.namespace, self.key.name, observed.study.get("status") or {})
            snapshot = dataclasses.replace(
                observed, samples=self._samples, refusals=self._current_refusals(), answers=self._answers
            )
            loop = asyncio.get_running_loop()
            memory = self._remembered(observed.study)
            began = loop.time()
            decision = await loop.run_in_executor(
                self._executor, decide, snapshot, self._settings.pod, self._clock(), memory
            )
            suggests = any(isinstance(action, CreateTrial) for action in decision.actions)
            self._metrics.decision_seconds.labels(suggests=str(suggests).lower()).observe(loop.time() - began)
            self._snapshot, self._training, self._questions = observed, decision.training, decision.questions
            stages = in_stages(decision.actions)
            if decision.actions and decision.actions == before:
                await self._perform_all(snapshot, [stages.status])
                raise TemporaryError(f"{', '.join(_kinds(before))} had no effect")
            for groups in (stages.known, stages.steps, [stages.after]):
                await self._perform_all(snapshot, groups)
            if stages.is_status_alone or loop.time() >= self._status_due:
                await self._perform_all(snapshot, [stages.status])
                self._status_due = loop.time() + STATUS_SECONDS
            before = decision.actions
            if not decision.actions:
                return decision

    async def _perform_all(self, snapshot: Snapshot, groups: Iterable[Sequence[Action]]) -> None:
        """The groups side by side, the actions of each in turn. Raises the first error once all have ended."""
        outcomes = Outcomes(self._metrics, snapshot)

        async def perform(group: Sequence[Action]) -> None:
            async with self._at_once:
                for action in group:
                    if await self._perform(snapshot.study, action):
                        outcomes.count(action)

        done = await asyncio.gather(*map(perform, groups), return_exceptions=True)
        for error in done:
            if error is not None:
                raise error

    def _remembered(self, study: Mapping[str, Any]) -> Memory:
        """What the engine keeps of this study; one that was deleted and made again under its name is another."""
        uid = study.get("metadata", {}).get("uid")
        if self._memory[0] != uid:
            self._memory = (uid, Memory())
        return self._memory[1]

    async def _perform(self, study: Mapping[str, Any], action: Action) -> bool:
        """Whether it was done; a refused Pod is noted."""
        self._metrics.actions.labels(action=type(action).__name__).inc()
        try:
            await self._cluster.perform(study, action, self._clock())
            return True
        except RefusedError as error:
            match action:
                case CreatePod(manifest):
                    refused = manifest["metadata"]["name"]
                case AdoptTrial(name):
                    refused = name
                case _:
                    raise
            self._refusals[refused] = (error.message, self._clock())
        except NotFoundError:
            log.info("study %s: %s came too late, its object is gone", self.key, type(action).__name__)
        return False

    def _current_refusals(self) -> dict[str, str]:
        now = self._clock()
        self._refusals = {
            name: (message, at)
            for name, (message, at) in self._refusals.items()
            if (now - at).total_seconds() < REFUSAL_SECONDS
        }
        return {name: message for name, (message, _) in self._refusals.items()}

    def _pause(self, decision: Decision | None) -> float | None:
        """Seconds until the next look without an event; None: never."""
        if decision is None:
            return None
        status = (self._snapshot.study.get("status") or {}) if self._snapshot else {}
        over = status.get("completionTime") or status.get("phase") == "Invalid"
        if over and decision.wake_at is None:
            return None
        times = [] if over else [RESYNC_SECONDS]
        if decision.training:
            times.append(max(0.0, self._sample_due - asyncio.get_running_loop().time()))
        if decision.questions:
            times.append(max(0.0, self._question_due - asyncio.get_running_loop().time()))
        if self._refusals:
            times.append(REFUSAL_SECONDS)
        if decision.wake_at is not None:
            times.append(max(0.0, (decision.wake_at - self._clock()).total_seconds()))
        return min(times)

    async def _sleep(self, seconds: float) -> None:
        """Until an event or the time. However many events come, what trains is sampled at its own pace."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # Python 3.11's wait_for loses a cancellation that comes with an event
                await self._woken.wait()
        loop = asyncio.get_running_loop()
        if self._training and loop.time() >= self._sample_due:
            self._samples = await self._sample()
            self._sample_due = loop.time() + self._settings.sample_seconds
        if self._questions and loop.time() >= self._question_due:
            self._answers = await self._asked()
            silent = any(isinstance(answer, Unanswered) for answer in self._answers.values())
            self._question_due = loop.time() + (self._settings.sample_seconds if silent else 0.0)

    async def _asked(self) -> dict[str, Answer]:
        """What the Prometheus servers say to the last decision's questions, all at once."""
        servers = self._settings.prometheus
        answers = await asyncio.gather(*(ask(self._session, servers, question) for question in self._questions))
        return {question.pod: answer for question, answer in zip(self._questions, answers, strict=True)}

    async def _sample(self) -> dict[str, Sample]:
        """The /metrics of every training Pod, all at once."""
        if self._snapshot is None:
            return {}
        objective = self._snapshot.study["spec"]["objective"]["metric"]
        addresses = {
            pod["metadata"]["name"]: (pod["status"]["podIP"], pod["metadata"]["labels"][TRIAL_LABEL])
            for pod in self._snapshot.pods
            if pod["metadata"]["name"] in self._training and pod["status"].get("podIP")
        }
        fetches = [fetch_sample(self._session, ip, METRICS_PORT, objective, trial) for ip, trial in addresses.values()]
        found = await asyncio.gather(*fetches)
        return {name: sample for name, sample in zip(addresses, found, strict=True) if sample is not None}


def _kinds(actions: tuple[Action, ...]) -> list[str]:
    return sorted({type(action).__name__ for action in actions})


class StudyWorkers:
    """The workers of all studies. ``wake`` starts one where there is none, until ``stop``. ``ended``: told of ends."""

    def __init__(
        self, make: Callable[[StudyKey], StudyWorker], ended: Callable[[StudyKey], None] = lambda key: None
    ) -> None:
        self._make, self._ended = make, ended
        self._workers: dict[StudyKey, StudyWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def wake(self, key: StudyKey) -> None:
        """Look at this study soon."""
        if self._stopped:
            return
        worker = self._workers.get(key)
        if worker is not None:
            worker.wake()
            return
        worker = self._workers[key] = self._make(key)
        task = asyncio.get_running_loop().create_task(self._serve(worker), name=f"study {key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, worker: StudyWorker) -> None:
        try:
            await worker.run()
        except Exception:
            log.exception("study %s: unexpected error; it is looked at again with its next event", worker.key)
        finally:
            del self._workers[worker.key]
            self._ended(worker.key)
        if worker.is_woken:  # an event came while it ended
            self.wake(worker.key)

    def is_serving(self, key: StudyKey) -> bool:
        """Whether there may be something left to do for this study."""
        return key in self._workers

    async def stop(self) -> None:
        """Cancel all; what was not performed is decided again by the next process. Later events wake nobody."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
