"""The objects of one study in plain dicts, and decisions performed on them, as an API server would store them.

What happens to its Pods is for subclasses to say. Stored objects are replaced, never changed, so that the ``memory`` of
decisions may know them again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hpo_engine.memory import Memory
from hpo_operator.api.pod_template import trainer_index
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


class PlainCluster:
    """One study, its trials and its Pods. ``most_alive`` is the largest number of Pods that had not ended at once."""

    def __init__(self, study: Raw, settings: PodSettings, now: datetime, memory: Memory | None = None) -> None:
        self.study, self.settings, self.now, self.memory = copy.deepcopy(study), settings, now, memory
        self.trials: dict[str, Raw] = {}
        self.pods: dict[str, Raw] = {}
        self.samples: dict[str, Sample] = {}
        self.refusals: dict[str, str] = {}
        self.answers: dict[str, Answer] = {}
        self.events: list[RecordEvent] = []
        self.created_pods: list[str] = []
        self.most_alive = 0

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

    def alive(self) -> list[str]:
        return [name for name, pod in self.pods.items() if pod["status"]["phase"] in ("Pending", "Running")]

    def running(self) -> list[str]:
        return [name for name, pod in self.pods.items() if pod["status"]["phase"] == "Running"]

    def asked(self, pod: str) -> Asked:
        """What the Pod of a trial is to do."""
        env = {e["name"]: e.get("value") for e in self._trainer(pod)["env"]}
        trial = self.pods[pod]["metadata"]["labels"][TRIAL_LABEL]
        return Asked(trial, json.loads(env["HPO_PARAMETERS"]), int(env.get("HPO_RESOURCE") or 0))

    def _terminate(self, name: str) -> None:
        """A running Pod is told to end; it may write its checkpoint first."""
        raise NotImplementedError

    def _lose(self, name: str) -> None:
        """The Pod is gone, and nobody knows how it ended."""
        del self.pods[name]

    def _mark_running(self, name: str) -> None:
        self._put_pod_status(name, "Running", {"running": {"startedAt": clock.to_text(self.now)}})

    def _mark_ended(self, name: str, outcome: Run) -> None:
        started = self.pods[name]["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        times = {"startedAt": started, "finishedAt": clock.to_text(self.now)}
        state = {"terminated": {"exitCode": outcome.code, "message": outcome.message} | times}
        self._put_pod_status(name, "Failed" if outcome.code else "Succeeded", state)

    def _put_pod_status(self, name: str, phase: str, state: Raw) -> None:
        status = {"phase": phase, "containerStatuses": [{"name": self._trainer(name)["name"], "state": state}]}
        self.pods[name] = self.pods[name] | {"status": status}

    def _mark_deleted(self, name: str) -> None:
        pod = self.pods[name]
        self.pods[name] = pod | {"metadata": pod["metadata"] | {"deletionTimestamp": clock.to_text(self.now)}}

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
                self.study = self.study | {"status": _stored(status.dump())}
            case DeletePod(name):
                if name in self.running():
                    self._mark_deleted(name)
                    self._terminate(name)
                elif name in self.pods:
                    self._lose(name)
            case RecordEvent():
                self.events.append(action)

    def _update_trial(self, name: str, change: Callable[[Raw], Raw]) -> None:
        if name in self.trials:
            self.trials[name] = change(self.trials[name])

    def _create_pod(self, manifest: Raw) -> bool:
        """False: there is one of this name."""
        if not self._create(self.pods, manifest):
            return False
        self.created_pods.append(manifest["metadata"]["name"])
        self.pods[manifest["metadata"]["name"]]["status"] = {"phase": "Pending"}
        return True

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
