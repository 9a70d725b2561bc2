"""A study in virtual time on the bare planner: what the virtual cluster of ``hpo simulate`` does, twenty times as fast.

It leaves out the objects that an API server would store, so that thousands of studies can be run.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from hpo_engine.fidelity import watched_levels
from hpo_engine.memory import Memory
from hpo_engine.planner import plan
from hpo_engine.study import Study
from hpo_engine.trial import Measurement, Parameters, Trial, TrialState
from hpo_operator.simulation.cluster import CHECKPOINT_SECONDS
from hpo_operator.simulation.costs import Prices

STOPPED = -1
Loss = Callable[[int, Parameters, int], float]


@dataclass(frozen=True)
class Pod:
    """``seconds`` it runs for; ``trained``: units before its first."""

    trial: int
    began: float
    seconds: float
    trained: int


@dataclass
class Virtual:
    """``start_seconds``: from a Pod's creation to its start. ``resumes``: promotions go on from a checkpoint."""

    study: Study
    parallelism: int
    loss: Loss
    prices: Prices
    resumes: bool
    start_seconds: float
    trials: dict[int, Trial] = field(default_factory=dict)
    pods: int = 0
    pod_seconds: float = 0.0
    now: float = 0.0
    _memory: Memory = field(default_factory=Memory)
    _alive: dict[int, Pod] = field(default_factory=dict)
    _events: list[tuple[float, int, int, int]] = field(default_factory=list)
    _tick: count[int] = field(default_factory=count)

    def run(self) -> Virtual:
        """To its end."""
        self._settle()
        while self._events:
            time, _, number, level = heapq.heappop(self._events)
            if number in self._alive:
                self.now = time
                self._happens(self._alive[number], number, level)
            if not self._events or self._events[0][0] > self.now:
                self._settle()
        return self

    def _settle(self) -> None:
        """Once: performing a plan and planning again would yield nothing new."""
        step = plan(self.study, tuple(self.trials.values()), self.parallelism - len(self._alive), self._memory)
        for index in step.stop:
            self._stop(index)
        for p in step.promote:
            told = replace(self.trials[p.index], state=TrialState.RUNNING, rung=p.rung, resource=p.resource)
            self._begin(told)
        for s in step.start:
            self._begin(Trial(s.index, s.parameters, TrialState.RUNNING, resource=s.resource))

    def _begin(self, trial: Trial) -> None:
        base = max((m.resource for m in trial.measurements), default=0) if self.resumes else 0
        unit = self.prices.per_unit(trial.parameters)
        units = trial.resource - base if trial.resource else 1
        pod = Pod(trial.index, self.now + self.start_seconds, self.prices.startup + units * unit, base)
        number = self.pods
        self.pods, self.trials[trial.index], self._alive[number] = self.pods + 1, trial, pod
        for level in watched_levels(self.study):
            if base < level < trial.resource:
                self._at(pod.began + self.prices.startup + unit * (level - base), number, level)
        self._at(pod.began + pod.seconds, number, trial.resource)

    def _at(self, time: float, number: int, level: int) -> None:
        heapq.heappush(self._events, (time, next(self._tick), number, level))

    def _happens(self, pod: Pod, number: int, level: int) -> None:
        """A Pod passes a level, ends, or has stopped (STOPPED)."""
        trial = self.trials[pod.trial]
        ends = level == trial.resource and trial.state is TrialState.RUNNING
        if ends or 0 <= level < trial.resource:
            made = Measurement(level, self.loss(trial.index, trial.parameters, level), pod.seconds if ends else None)
            state = TrialState.REPORTED if ends else trial.state
            self.trials[trial.index] = replace(trial, state=state, measurements=(*trial.measurements, made))
        if ends or level == STOPPED:
            self.pod_seconds += self.now - pod.began
            del self._alive[number]

    def _stop(self, index: int) -> None:
        self.trials[index] = replace(self.trials[index], state=TrialState.STOPPED)
        (number,) = (number for number, pod in self._alive.items() if pod.trial == index)
        self._at(self.now + CHECKPOINT_SECONDS, number, STOPPED)
