"""One worker per study: woken by any event, it observes, decides and performs until nothing is left to do.

The same worker drives a study on the API server and in ``hpo run``; it knows no kopf and no client. What it keeps in
memory (the latest samples, the last refusals) is observation, not state: losing it costs nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
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
from hpo_operator.kube.sampling import SamplePace
from hpo_operator.kube.stages import Stages, in_stages
from hpo_operator.kube.turns import Turns
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
ACTIONS_AT_ONCE, PATIENT_AT_ONCE = 8, 4
"""Of one study; and of those that no trial waits for."""
BUSY = 2.0
"""While there is something to do, what only people read waits longer by this factor: a Pod would wait behind it."""


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """``sample_seconds``: how often the /metrics of running trials are read, and a silent Prometheus is asked again.

    ``status_seconds``: at most so much later is stored what only people read, to be stored together with what follows;
    while there is something to do, ``BUSY`` times as much.
    ``prometheus``: addresses of the servers that studies may ask, by name.
    """

    pod: PodSettings
    sample_seconds: float = 5.0
    status_seconds: float = 5.0
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
        pace: SamplePace | None = None,
        turns: Turns | None = None,
    ) -> None:
        """``pace`` and ``turns``: shared with the workers of other studies; None: there are none."""
        self.key, self._cluster, self._settings = key, cluster, settings
        self._pace, self._turns = pace or SamplePace(settings.sample_seconds), turns or Turns()
        self._session, self._executor, self._clock, self._metrics = session, executor, clock, metrics
        self._woken = asyncio.Event()
        self._samples: dict[str, Sample] = {}
        self._memory: tuple[object, Memory] = (None, Memory())
        self._refusals: dict[str, tuple[str, datetime]] = {}
        self._snapshot: Snapshot | None = None
        self._training: tuple[str, ...] = ()
        self._sample_due = 0.0  # on the event loop's clock
        self._status_due: float | None = None  # the same; None: nothing waits to be stored
        self._awaits_turn = False
        self._answers: dict[str, Answer] = {}
        self._questions: tuple[Question, ...] = ()
        self._question_due = 0.0  # on the event loop's clock
        self._at_once, self._patient = asyncio.Semaphore(ACTIONS_AT_ONCE), asyncio.Semaphore(PATIENT_AT_ONCE)
        self._woken.set()

    def wake(self) -> None:
        """Something may have changed."""
        self._woken.set()

    @property
    def is_woken(self) -> bool:
        return self._woken.is_set()

    async def run(self) -> None:
        """Serve the study; returns when there is no more to do for it."""
        try:
            await self._serve()
        finally:
            self._turns.leave(self.key)

    async def _serve(self) -> None:
        failures = 0
        pause: float | None = 0.0  # the first look is at once
        while pause is not None:
            await self._sleep(pause)
            self._woken.clear()
            try:
                with self._metrics.reconcile_seconds.time():
                    decision = await self._settle()
                pause, failures = self._pause(decision), 0
                if pause is None and self.is_woken and decision is not None:
                    pause = 0.0  # to look once more at what is known is cheaper than to begin anew
                if not self._awaits_turn:
                    self._turns.release(self.key)
            except ClusterError as error:
                self._turns.leave(self.key)
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
        worked: tuple[Action, ...] = ()
        told: tuple[Action, ...] = ()
        while True:
            observed = await self._cluster.observe(self.key)
            if observed is None:
                self._metrics.forget_study(self.key.namespace, self.key.name)
                self._pace.note(self.key, 0)
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
            self._pace.note(self.key, len(decision.training))
            stages, outcomes = in_stages(decision.actions), Outcomes(self._metrics, snapshot)
            work = stages.work
            if work and work == worked:
                await self._perform_all(outcomes, [*stages.shown, stages.status])
                raise TemporaryError(f"{', '.join(_kinds(work))} had no effect")
            for groups in (stages.known, stages.steps, [stages.after]):
                await self._perform_all(outcomes, groups)
            patient = self._patient_groups(stages)
            telling = tuple(action for group in patient for action in group)
            if telling and telling == told:
                raise TemporaryError(f"{', '.join(_kinds(telling))} had no effect")
            await self._perform_all(outcomes, patient, self._patient)
            if not work and (not telling or stages.can_wait):
                return decision  # nothing is decided from what people read
            worked, told = work, telling

    def _patient_groups(self, stages: Stages) -> Sequence[Sequence[Action]]:
        """What may be stored now of what no trial waits for; asks for a turn where that needs one."""
        self._awaits_turn = False
        now = asyncio.get_running_loop().time()
        if not stages.people:
            self._status_due = None
        elif self._status_due is None:
            self._status_due = now + self._settings.status_seconds  # of the first change that waits
        busy = (BUSY - 1) * self._settings.status_seconds if stages.work else 0.0
        is_due = self._status_due is not None and now >= self._status_due + busy
        if stages.work and not is_due:
            return []
        if not stages.can_wait:
            is_due = True
        elif stages.news or is_due:
            self._awaits_turn = not self._turns.ask(self.key, self.wake)
        if self._awaits_turn:
            return []
        if not is_due:
            return stages.news
        self._status_due = None
        return [*stages.news, *stages.shown, stages.status]

    async def _perform_all(
        self, outcomes: Outcomes, groups: Iterable[Sequence[Action]], at_once: asyncio.Semaphore | None = None
    ) -> None:
        """The groups side by side, the actions of each in turn. Raises the first error once all have ended."""

        async def perform(group: Sequence[Action]) -> None:
            async with at_once or self._at_once:
                for action in group:
                    if await self._perform(outcomes.study, action):
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
        waits = self._status_due is not None or self._awaits_turn
        if over and decision.wake_at is None and not waits:
            return None
        times = [RESYNC_SECONDS] if not over or waits else []
        if self._status_due is not None and not self._awaits_turn:
            times.append(max(0.0, self._status_due - asyncio.get_running_loop().time()))
        if self._refusals:
            times.append(REFUSAL_SECONDS)
        if decision.wake_at is not None:
            times.append(max(0.0, (decision.wake_at - self._clock()).total_seconds()))
        return min(times)

    async def _sleep(self, seconds: float) -> None:
        """Until an event, news of what trains, or the time. However many events come, Pods are sampled at one pace."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            with suppress(TimeoutError):
                # Python 3.11's wait_for loses a cancellation that comes with an event.
                async with asyncio.timeout_at(min(until, self._look_due())):
                    await self._woken.wait()
            if await self._has_news() or self._woken.is_set() or loop.time() >= until:
                return

    def _look_due(self) -> float:
        """When there may be news that no event tells of."""
        sample = self._sample_due if self._training else math.inf
        return min(sample, self._question_due if self._unanswered() else math.inf)

    def _unanswered(self) -> list[Question]:
        answers = ((question, self._answers.get(question.pod)) for question in self._questions)
        return [question for question, answer in answers if answer is None or isinstance(answer, Unanswered)]

    async def _has_news(self) -> bool:
        """Whether a sample or an answer that is due differs from the last."""
        loop = asyncio.get_running_loop()
        before = self._samples, self._answers
        if self._training and loop.time() >= self._sample_due:
            self._samples = await self._sample()
            self._sample_due = loop.time() + self._pace.seconds
        if self._unanswered() and loop.time() >= self._question_due:
            self._answers = await self._asked()
            self._question_due = loop.time() + (self._settings.sample_seconds if self._unanswered() else 0.0)
        return before != (self._samples, self._answers)

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
            pod["metadata"]["name"]: (ip, pod["metadata"]["labels"][TRIAL_LABEL])
            for pod in self._snapshot.pods
            if pod["metadata"]["name"] in self._training and (ip := pod["status"].get("podIP"))
        }
        fetches = [fetch_sample(self._session, ip, METRICS_PORT, objective, trial) for ip, trial in addresses.values()]
        found = await asyncio.gather(*fetches)
        return {name: sample for name, sample in zip(addresses, found, strict=True) if sample is not None}


def _kinds(actions: tuple[Action, ...]) -> list[str]:
    return sorted({type(action).__name__ for action in actions})
