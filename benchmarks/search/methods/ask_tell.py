"""Peers that ask for (configuration, resource) and want one loss back per job, as a base class.

Such peers know no checkpoints. They get them all the same: a job that a peer marks as a continuation of an earlier one
goes on from there. One that repeats a resource that was trained already is trained anew.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from hpo_engine.trial import Parameters
from search.cluster import Decision, Job
from search.problems.base import Problem


@dataclass
class Ask:
    """What a peer wants trained. ``token`` is its own; jobs with the same ``continues`` share a checkpoint."""

    parameters: Parameters
    resource: int
    token: Any = None
    continues: Hashable | None = None
    losses: dict[int, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The last one that was measured."""
        return self.losses[max(self.losses)]


class AskTell:
    """Subclasses say what to ``ask`` (None: wait for what runs) and learn what was told."""

    takes_nan = False

    def __init__(self, name: str, problem: Problem, workers: int, seed: int) -> None:
        self.name, self.problem, self.workers, self.seed = name, problem, workers, seed
        self.running: dict[int, Ask] = {}
        self.trained: dict[int, int] = {}
        self.checkpoints: dict[Hashable, int] = {}
        self.begun = 0

    def ask(self) -> Ask | None:
        raise NotImplementedError

    def tell(self, asked: Ask) -> None:
        raise NotImplementedError

    def decide(self, free: int) -> Decision:
        jobs: list[Job] = []
        while len(jobs) < free and (asked := self.ask()) is not None:
            trial = self._trial(asked)
            self.running[trial] = asked
            jobs.append(Job(trial, asked.parameters, asked.resource))
        return Decision(jobs)

    def report(self, trial: int, resource: int, loss: float) -> bool:
        self.running[trial].losses[resource] = loss
        self.trained[trial] = resource
        return True

    def ended(self, trial: int) -> None:
        self.tell(self.running.pop(trial))

    def _trial(self, asked: Ask) -> int:
        """An earlier trial to go on with, or a new one."""
        trial = None if asked.continues is None else self.checkpoints.get(asked.continues)
        if trial is None or trial in self.running or self.trained.get(trial, 0) >= asked.resource:
            trial = self.begun
            self.begun += 1
            if asked.continues is not None:
                self.checkpoints[asked.continues] = trial
        return trial
