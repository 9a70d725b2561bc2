"""A cluster in plain dicts and virtual time: what an API server and its nodes would do with one study.

Decisions are made by ``decide``, the very code of the operator; only time and training are made up. It stands behind
``hpo simulate`` and behind the tests of ``decide``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hpo_engine.memory import Memory
from hpo_operator.api.pod_template import trainer_index
from hpo_operator.manifests.cleaner import cleaned_trials
from hpo_operator.manifests.names import TRIAL_LABEL
from hpo_operator.manifests.pod import PodSettings
from hpo_operator.reconcile import clock
from hpo_operator.reconcile.actions import (
    Action,
    AdoptTrial,
    CreatePod,
    CreateTrial,
    DeletePod,
    PatchTrialSpec,
    PutStudyStatus,
    PutTrialStatus,
    RecordEvent,
)
from hpo_operator.reconcile.decide import Decision, decide
from hpo_operator.reconcile.manual_trials import owned_and_strays
from hpo_operator.reconcile.queries import Answer
from hpo_operator.reconcile.snapshot import Sample, Snapshot

Raw = dict[str, Any]
MAX_ROUNDS = 200
"""A decision that does not settle within so many rounds never does."""
CLEANING_SECONDS, CHECKPOINT_SECONDS = 5.0, 2.0
"""What a Pod needs that deletes checkpoints, and a trial that is told to stop."""


@dataclass(frozen=True)
class Asked:
    """What a trial's Pod is told, as any container is: by its environment."""

    trial: str
    parameters: dict[str, Any]
    resource: int


@dataclass(frozen=True)
class Run:
    """How a container ends, and after how long."""

    message: str
    code: int = 0
    seconds: float = 60.0


@dataclass(frozen=True)
class Node:
    """``places``: Pods that run at once, None: any number. ``start_seconds``: from a Pod's creation to its start."""

    places: int | None = None
    start_seconds: float = 0.0


class VirtualCluster:
    """One study, its trials and its Pods. ``most_alive`` is the largest number of Pods that had not ended at once.

    ``checkpoints``: names of the trials that have one. ``cleaned``: (trial, its phase then), as it was deleted by a
    cleaning Pod. Stored objects are replaced, never changed, so that a decision's ``memory`` may know them again.
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
        self.study, self._train, self.settings, self.now = copy.deepcopy(study), train, settings, now
        self.node, self.memory = node or Node(), memory
        self.trials: dict[str, Raw] = {}
        self.pods: dict[str, Raw] = {}
        self.samples: dict[str, Sample] = {}
        self.refusals: dict[str, str] = {}
        self.answers: dict[str, Answer] = {}
        self.events: list[RecordEvent] = []
        self.created_pods: list[str] = []
        self.checkpoints: set[str] = set()
        self.cleaned: list[tuple[str, str]] = []
        self.most_alive = 0
        self._due: dict[str, datetime] = {}
        self._ends: dict[str, tuple[datetime, Run]] = {}

    @property
    def status(self) -> Raw:
        status: Raw = self.study.get("status") or {}
        return status

    def snapshot(self) -> Snapshot:
        owned, strays = owned_and_strays(self.study, self.trials.values())
        return Snapshot(
            self.study,
            owned,
            tuple(self.pods.values()),
            dict(self.samples),
            dict(self.refusals),
            dict(self.answers),
            strays=strays,
        )

    def decide(self) -> Decision:
        return decide(self.snapshot(), self.settings, self.now, self.memory)

    def settle(self) -> Decision:
        """Decide and perform until nothing is asked for any more."""
        for _ in range(MAX_ROUNDS):
            decision = self.decide()
            if not decision.actions:
                return decision
            self.perform(*decision.actions)
        raise AssertionError(f"not settled after {MAX_ROUNDS} rounds: {decision.actions}")

    def perform(self, *actions: Action) -> None:
        for action in actions:
            self._perform(action)
            self.most_alive = max(self.most_alive, len(self.alive()))

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

    def alive(self) -> list[str]:
        return [name for name, pod in self.pods.items() if pod["status"]["phase"] in ("Pending", "Running")]

    def running(self) -> list[str]:
        return [name for name, pod in self.pods.items() if pod["status"]["phase"] == "Running"]

    def asked(self, pod: str) -> Asked:
        """What the Pod of a trial is to do."""
        env = {e["name"]: e.get("value") for e in self._trainer(pod)["env"]}
        trial = self.pods[pod]["metadata"]["labels"][TRIAL_LABEL]
        return Asked(trial, json.loads(env["HPO_PARAMETERS"]), int(env.get("HPO_RESOURCE") or 0))

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

    def _begin(self, name: str, outcome: Run) -> None:
        self._due.pop(name, None)
        self._ends[name] = (self.now + timedelta(seconds=outcome.seconds), outcome)
        state = {"running": {"startedAt": clock.to_text(self.now)}}
        self._put_pod_status(name, "Running", state)
        self.started(name)

    def _end(self, name: str, outcome: Run) -> None:
        self.ended(name)
        pod = self.pods[name]
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        times = {"startedAt": started, "finishedAt": clock.to_text(self.now)}
        state = {"terminated": {"exitCode": outcome.code, "message": outcome.message} | times}
        self._put_pod_status(name, "Failed" if outcome.code else "Succeeded", state)
        self._ends.pop(name, None)
        if TRIAL_LABEL not in pod["metadata"]["labels"] and outcome.code == 0:
            for trial in sorted(cleaned_trials(pod)):
                phase = self.trials[trial]["status"]["phase"] if trial in self.trials else ""
                self.cleaned.append((trial, phase))
                self.checkpoints.discard(trial)

    def _put_pod_status(self, name: str, phase: str, state: Raw) -> None:
        status = {"phase": phase, "containerStatuses": [{"name": self._trainer(name)["name"], "state": state}]}
        self.pods[name] = self.pods[name] | {"status": status}

    def _lose(self, name: str) -> None:
        """The Pod is gone, and nobody knows how it ended."""
        if name in self._ends:
            self.ended(name)
        self._ends.pop(name, None)
        self._due.pop(name, None)
        del self.pods[name]

    def _perform(self, action: Action) -> None:
        match action:
            case CreateTrial(manifest):
                self._create(self.trials, manifest)
            case CreatePod(manifest):
                self._create_pod(manifest)
            case PatchTrialSpec(name, changes):
                self._update_trial(name, lambda t: _next_generation(t | {"spec": t["spec"] | changes}))
            case AdoptTrial(name, metadata, spec):
                self._update_trial(name, lambda t: t | {"metadata": t["metadata"] | metadata, "spec": t["spec"] | spec})
            case PutTrialStatus(name, status):
                self._update_trial(name, lambda t: t | {"status": _stored(status.dump())})
            case PutStudyStatus(status):
                self.study["status"] = _stored(status.dump())
            case DeletePod(name):
                self._delete_pod(name)
            case RecordEvent():
                self.events.append(action)

    def _update_trial(self, name: str, change: Callable[[Raw], Raw]) -> None:
        if name in self.trials:
            self.trials[name] = change(self.trials[name])

    def _create_pod(self, manifest: Raw) -> None:
        if self._create(self.pods, manifest):
            name = manifest["metadata"]["name"]
            self.created_pods.append(name)
            self.pods[name]["status"] = {"phase": "Pending"}
            self._due[name] = self.now + timedelta(seconds=self.node.start_seconds)

    def _delete_pod(self, name: str) -> None:
        if name in self.running():  # it may write its checkpoint first
            pod = self.pods[name]
            self.pods[name] = pod | {"metadata": pod["metadata"] | {"deletionTimestamp": clock.to_text(self.now)}}
            self._ends[name] = (self.now + timedelta(seconds=CHECKPOINT_SECONDS), Run("", code=143))
        elif name in self.pods:
            self._lose(name)

    def _create(self, objects: dict[str, Raw], manifest: Raw) -> bool:
        name = manifest["metadata"]["name"]
        if name in objects:
            return False
        uid = f"{name}-{len(self.created_pods)}-{len(self.trials)}"
        made: Raw = _stored(manifest)
        made["metadata"] |= {"uid": uid, "generation": 1, "creationTimestamp": clock.to_text(self.now)}
        objects[name] = made
        return True

    def _trainer(self, pod: str) -> Raw:
        """The container that the operator looks at."""
        containers: list[Raw] = self.pods[pod]["spec"]["containers"]
        return containers[trainer_index(containers)]


def _next_generation(value: Raw) -> Raw:
    meta = value["metadata"]
    return value | {"metadata": meta | {"generation": meta["generation"] + 1}}


def _stored(value: Raw) -> Raw:
    """What an API server gives back: the same, if it is JSON, and nobody's to change but its own."""
    stored: Raw = json.loads(json.dumps(value, allow_nan=False))
    return stored
