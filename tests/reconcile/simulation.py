"""A small cluster in plain dicts and virtual time, for tests of ``decide``: what an API server and its nodes would do.

Pods run a function of (parameters, resource), which they are told as any container is: by their environment. Whatever
can happen to a Pod (interruption, deletion, loss, failure) is a method; a crash is a decision performed in part.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from hpo_operator.api.pod_template import trainer_index
from hpo_operator.manifests.cleaner import cleaned_trials
from hpo_operator.manifests.names import TRIAL_LABEL
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
from reconcile.objects import NOW, SETTINGS, measured

Raw = dict[str, Any]
MAX_ROUNDS = 200
"""A decision that does not settle within so many rounds never does."""


@dataclass(frozen=True)
class Run:
    """How a container ends, and after how long."""

    message: str
    code: int = 0
    seconds: float = 60.0


Train = Callable[[dict[str, Any], int], Run]


def dice(parameters: dict[str, Any], resource: int) -> Run:
    """A landscape with its best point at learningRate 0.01, depth 3, that rises with the resource."""
    miss = abs(math.log10(parameters["learningRate"]) + 2) + abs(parameters["depth"] - 3)
    value = 1 / (1 + miss) - (0.5 / resource if resource else 0)
    return Run(measured(value), seconds=10.0 * parameters["depth"] * max(1, resource))


class SimulatedCluster:
    """One study, its trials and its Pods. ``most_alive`` is the largest number of Pods that had not ended at once.

    ``checkpoints``: names of the trials that have one. ``cleaned``: (trial, its phase then), as it
    was deleted by a cleaning Pod.
    """

    def __init__(self, study: Raw, train: Train = dice) -> None:
        self.study, self.train = copy.deepcopy(study), train
        self.trials: dict[str, Raw] = {}
        self.pods: dict[str, Raw] = {}
        self.samples: dict[str, Sample] = {}
        self.refusals: dict[str, str] = {}
        self.answers: dict[str, Answer] = {}
        self.now: datetime = NOW
        self.events: list[RecordEvent] = []
        self.created_pods: list[str] = []
        self.checkpoints: set[str] = set()
        self.cleaned: list[tuple[str, str]] = []
        self.most_alive = 0
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
        return decide(self.snapshot(), SETTINGS, self.now)

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
        """Pending Pods start; then time goes on to the first end of a Pod or ``wake_at``."""
        self.start_pods()
        times = [time for time in (self.next_end(), wake_at) if time is not None]
        if not times:
            return False
        self.now = max(self.now, min(times))
        self.end_pods()
        return True

    def next_end(self) -> datetime | None:
        """When the first running Pod will have ended."""
        return min((end for end, _ in self._ends.values()), default=None)

    def end_pods(self) -> None:
        for name in [name for name, (end, _) in self._ends.items() if end <= self.now]:
            self._end(name, self._ends[name][1])

    def run(self, steps: int = 2000) -> None:
        """To the end of the study, or of what it can do."""
        for _ in range(steps):
            if not self.step():
                return
        raise AssertionError(f"not finished after {steps} steps: {self.status}")

    def start_pods(self) -> None:
        for name, pod in self.pods.items():
            if pod["status"]["phase"] == "Pending" and TRIAL_LABEL not in pod["metadata"]["labels"]:
                self._begin(name, Run("", seconds=5.0))
            elif pod["status"]["phase"] == "Pending":
                env = {e["name"]: e.get("value") for e in self._trainer(name)["env"]}
                outcome = self.train(json.loads(env["HPO_PARAMETERS"]), int(env.get("HPO_RESOURCE") or 0))
                self.checkpoints.add(pod["metadata"]["labels"][TRIAL_LABEL])
                self._begin(name, outcome)

    def _begin(self, name: str, outcome: Run) -> None:
        self._ends[name] = (self.now + timedelta(seconds=outcome.seconds), outcome)
        state = {"running": {"startedAt": clock.to_text(self.now)}}
        self.pods[name]["status"] = self._container("Running", state, self._trainer(name)["name"])

    def alive(self) -> list[str]:
        return [name for name, pod in self.pods.items() if pod["status"]["phase"] in ("Pending", "Running")]

    def running(self) -> list[str]:
        return [name for name, pod in self.pods.items() if pod["status"]["phase"] == "Running"]

    # What can happen to a Pod that runs.

    def interrupt(self, name: str) -> None:
        """As the built-in trainer ends on SIGTERM."""
        self._end(name, Run("", code=75))

    def evict(self, name: str) -> None:
        self._end(name, Run("", code=137))
        self.pods[name]["status"]["reason"] = "Evicted"

    def lose(self, name: str) -> None:
        """Deleted by hand, or with its node."""
        self._ends.pop(name, None)
        del self.pods[name]

    def delete_trial(self, name: str) -> None:
        """By hand; the garbage collector takes its Pods."""
        uid = self.trials.pop(name)["metadata"]["uid"]
        for pod in [p for p, o in self.pods.items() if o["metadata"]["ownerReferences"][0]["uid"] == uid]:
            self.lose(pod)

    def edit(self, **spec: Any) -> None:
        """The user changes the study: sections of its spec."""
        self.study["spec"] |= copy.deepcopy(spec)
        self.study["metadata"]["generation"] += 1

    def edit_budget(self, **budget: Any) -> None:
        self.edit(budget=self.study["spec"]["budget"] | budget)

    def results(self) -> dict[int, tuple[Any, ...]]:
        """By a trial's number: parameters, what was measured where, and the reason of its failure."""
        return {
            trial["spec"]["index"]: (
                tuple(trial["spec"]["parameters"].items()),
                tuple((m["resource"], m["value"]) for m in trial["status"].get("measurements", [])),
                trial["status"].get("failure", {}).get("reason"),
            )
            for trial in sorted(self.trials.values(), key=lambda trial: trial["spec"]["index"])
        }

    def _perform(self, action: Action) -> None:
        match action:
            case CreateTrial(manifest):
                self._create(self.trials, manifest)
            case CreatePod(manifest):
                if self._create(self.pods, manifest):
                    self.created_pods.append(manifest["metadata"]["name"])
                    self.pods[manifest["metadata"]["name"]]["status"] = {"phase": "Pending"}
            case PatchTrialSpec(name, changes):
                if name in self.trials:
                    self.trials[name]["spec"] |= changes
                    self.trials[name]["metadata"]["generation"] += 1
            case AdoptTrial(name, metadata, spec):
                if name in self.trials:
                    self.trials[name]["metadata"] |= metadata
                    self.trials[name]["spec"] |= spec
            case PutTrialStatus(name, status):
                if name in self.trials:
                    self.trials[name]["status"] = _stored(status.dump())
            case PutStudyStatus(status):
                self.study["status"] = _stored(status.dump())
            case DeletePod(name):
                if name in self.running():  # it may write its checkpoint first
                    self.pods[name]["metadata"]["deletionTimestamp"] = clock.to_text(self.now)
                    self._ends[name] = (self.now + timedelta(seconds=2), Run("", code=143))
                elif name in self.pods:
                    self.lose(name)
            case RecordEvent():
                self.events.append(action)

    def _create(self, objects: dict[str, Raw], manifest: Raw) -> bool:
        name = manifest["metadata"]["name"]
        if name in objects:
            return False
        uid = f"{name}-{len(self.created_pods)}-{len(self.trials)}"
        made: Raw = _stored(manifest)
        made["metadata"] |= {"uid": uid, "generation": 1, "creationTimestamp": clock.to_text(self.now)}
        objects[name] = made
        return True

    def _end(self, name: str, outcome: Run) -> None:
        pod = self.pods[name]
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        times = {"startedAt": started, "finishedAt": clock.to_text(self.now)}
        state = {"terminated": {"exitCode": outcome.code, "message": outcome.message} | times}
        pod["status"] = self._container("Failed" if outcome.code else "Succeeded", state, self._trainer(name)["name"])
        self._ends.pop(name, None)
        if TRIAL_LABEL not in pod["metadata"]["labels"] and outcome.code == 0:
            for trial in sorted(cleaned_trials(pod)):
                phase = self.trials[trial]["status"]["phase"] if trial in self.trials else ""
                self.cleaned.append((trial, phase))
                self.checkpoints.discard(trial)

    def _trainer(self, pod: str) -> Raw:
        """The container that the operator looks at."""
        containers: list[Raw] = self.pods[pod]["spec"]["containers"]
        return containers[trainer_index(containers)]

    @staticmethod
    def _container(phase: str, state: Raw, name: str) -> Raw:
        return {"phase": phase, "containerStatuses": [{"name": name, "state": state}]}


def _stored(value: Raw) -> Raw:
    """What an API server gives back: the same, if it is JSON, and nobody's to change but its own."""
    stored: Raw = json.loads(json.dumps(value, allow_nan=False))
    return stored


def performed_in_part(cluster: SimulatedCluster, chance: Random, steps: int = 5000) -> None:
    """Run the study with a process that dies within decisions: only a part of each is performed, then it looks anew."""
    for _ in range(steps):
        decision = cluster.decide()
        if decision.actions:
            cluster.perform(*decision.actions[: chance.randint(0, len(decision.actions))])
        elif not cluster.advance(decision.wake_at):
            return
    raise AssertionError(f"not finished after {steps} steps: {cluster.status}")
