"""A cluster in virtual time: what an API server and its nodes would do with one study.

Decisions are made by ``decide``, the very code of the operator; only time and training are made up. It stands behind
``hpo simulate`` and behind the tests of ``decide``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hpo_engine.memory import Memory
from hpo_operator.manifests.cleaner import cleaned_trials
from hpo_operator.manifests.names import TRIAL_LABEL
from hpo_operator.manifests.pod import PodSettings
from hpo_operator.simulation.plain import Asked, PlainCluster, Raw, Run

CLEANING_SECONDS, CHECKPOINT_SECONDS = 5.0, 2.0
"""What a Pod needs that deletes checkpoints, and a trial that is told to stop."""


@dataclass(frozen=True)
class Node:
    """``places``: Pods that run at once, None: any number. ``start_seconds``: from a Pod's creation to its start."""

    places: int | None = None
    start_seconds: float = 0.0


class VirtualCluster(PlainCluster):
    """``checkpoints``: names of the trials that have one. ``cleaned``: (trial, its phase then), as it was deleted by a
    cleaning Pod.
    """

    def __init__(
        self,
        study: Raw,
        train: Callable[[Asked], Run],
        settings: PodSettings,
        now: datetime,
        node: Node | None = None,
        memory: Memory | None = None,
    ) -> None:
        super().__init__(study, settings, now, memory)
        self._train, self.node = train, node or Node()
        self.checkpoints: set[str] = set()
        self.cleaned: list[tuple[str, str]] = []
        self._due: dict[str, datetime] = {}
        self._ends: dict[str, tuple[datetime, Run]] = {}

    def step(self) -> bool:
        """Settle, start what is pending, and let time go on to what happens next; False: nothing ever will."""
        decision = self.settle()
        return self.advance(decision.wake_at)

    def advance(self, wake_at: datetime | None = None) -> bool:
        """Pending Pods start; then time goes on to the first start or end of a Pod, or to ``wake_at``."""
        self.start_pods()
        times = [time for time in (self.next_start(), self.next_end(), wake_at) if time is not None]
        if not times:
            return False
        self.now = max(self.now, min(times))
        self.end_pods()
        return True

    def next_start(self) -> datetime | None:
        """When the first pending Pod may start, if there is a place for it."""
        due = [self._due[name] for name in self._due.keys() & self.pods.keys()] if self._has_place() else []
        return min(due, default=None)

    def next_end(self) -> datetime | None:
        """When the first running Pod will have ended."""
        return min((end for end, _ in self._ends.values()), default=None)

    def end_pods(self) -> None:
        for name in [name for name, (end, _) in self._ends.items() if end <= self.now]:
            self._end(name, self._ends[name][1])

    def start_pods(self) -> None:
        """Those that are due, in the order of their creation, as far as there are places."""
        for name, pod in list(self.pods.items()):
            if not self._has_place():
                return
            if pod["status"]["phase"] == "Pending" and self._due.get(name, self.now) <= self.now:
                self._begin(name, self._outcome(name))

    def trained(self, asked: Asked) -> Run:
        """What comes of a trial's Pod that begins now."""
        return self._train(asked)

    def started(self, pod: str) -> None:
        """Called when a Pod has begun to run."""

    def ended(self, pod: str) -> None:
        """Called when a Pod that ran is about to have ended."""

    def _has_place(self) -> bool:
        return self.node.places is None or len(self._ends) < self.node.places

    def _outcome(self, pod: str) -> Run:
        if TRIAL_LABEL not in self.pods[pod]["metadata"]["labels"]:
            return Run("", seconds=CLEANING_SECONDS)
        asked = self.asked(pod)
        self.checkpoints.add(asked.trial)
        return self.trained(asked)

    def _create_pod(self, manifest: Raw) -> bool:
        made = super()._create_pod(manifest)
        if made:
            self._due[manifest["metadata"]["name"]] = self.now + timedelta(seconds=self.node.start_seconds)
        return made

    def _begin(self, name: str, outcome: Run) -> None:
        self._due.pop(name, None)
        self._ends[name] = (self.now + timedelta(seconds=outcome.seconds), outcome)
        self._mark_running(name)
        self.started(name)

    def _terminate(self, name: str) -> None:
        self._ends[name] = (self.now + timedelta(seconds=CHECKPOINT_SECONDS), Run("", code=143))

    def _end(self, name: str, outcome: Run) -> None:
        self.ended(name)
        self._mark_ended(name, outcome)
        self._ends.pop(name, None)
        pod = self.pods[name]
        if TRIAL_LABEL not in pod["metadata"]["labels"] and outcome.code == 0:
            for trial in sorted(cleaned_trials(pod)):
                phase = self.trials[trial]["status"]["phase"] if trial in self.trials else ""
                self.cleaned.append((trial, phase))
                self.checkpoints.discard(trial)

    def _lose(self, name: str) -> None:
        if name in self._ends:
            self.ended(name)
        self._ends.pop(name, None)
        self._due.pop(name, None)
        super()._lose(name)
