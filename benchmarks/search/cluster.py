"""A simulated asynchronous cluster with a virtual clock.

Workers train configurations unit by unit; each unit takes the configuration's own time, and its value is told the
moment it is trained. A trial may be left at any resource and taken up again later, from where it was: trained units
cost nothing again. Suggesting takes no virtual time. The budget is worker-time in full trainings, idle workers
included: with w workers it ends at the virtual time budget / w.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from hpo_engine.trial import Parameters
from search.problems.base import Curve, Problem

BUDGETS = {1: 20.0, 4: 20.0, 16: 20.0}
"""By the number of workers, in full trainings."""
ANYTIME = (2, 5, 10, 20)
"""Budgets at which runs are read."""


@dataclass(frozen=True)
class Job:
    """Train ``trial`` until it has ``resource`` units in total. Every job of a trial has the same ``parameters``."""

    trial: int
    parameters: Parameters
    resource: int


@dataclass(frozen=True)
class Decision:
    """What to begin now, on at most as many workers as are free, and which running trials to stop."""

    start: Sequence[Job] = ()
    stop: Sequence[int] = ()


class Method(Protocol):
    """A search method as the cluster sees it.

    ``takes_nan``: it is told NaN when a run diverges, and the trial is over. Others are told the problem's
    ``diverged`` for every unit that is left of the job.
    """

    takes_nan: bool

    def decide(self, free: int) -> Decision:
        """Asked at the beginning and after every report, with the number of free workers (0: only stops count)."""

    def report(self, trial: int, resource: int, loss: float) -> bool:
        """The loss after ``resource`` units. True: go on to the job's end; False: leave the trial there."""

    def ended(self, trial: int) -> None:
        """The trial's job is over: its end was reached, or ``report`` or ``decide`` stopped it."""


@dataclass
class Running:
    """A job on a worker: it ``began`` with ``first`` units trained before, and has ``trained`` now."""

    job: Job
    curve: Curve
    began: float
    first: int
    trained: int
    over: bool = False

    @property
    def spent(self) -> float:
        return (self.trained - self.first) * self.curve.unit_cost

    def next_time(self) -> float:
        """When the next unit will be trained; rounded, so that equal times are equal whatever was added up."""
        return round(self.began + self.spent + self.curve.unit_cost, 9)


@dataclass
class Outcome:
    """``steps``: (budget spent, observed loss, true loss) of each new incumbent, the trial and resource observed best.

    ``trials``: configurations begun; ``units`` of resource trained; ``busy``: the share of the budget that trained.
    ``seconds`` and ``cpu``: the method's own, on the wall and on the processor.
    """

    steps: list[tuple[float, float, float]] = field(default_factory=list)
    trials: int = 0
    jobs: int = 0
    units: int = 0
    busy: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0


class Cluster:
    """One run of a method on a problem. ``budget`` in full trainings; ``seed`` draws the noise."""

    def __init__(self, problem: Problem, method: Method, workers: int, budget: float, seed: int) -> None:
        self.problem, self.method, self.workers, self.seed = problem, method, workers, seed
        self.end = round(budget / workers, 9)
        self.outcome = Outcome()
        self.running: dict[int, Running] = {}
        self._trained: dict[int, int] = {}
        self._curves: dict[int, Curve] = {}
        self._events: list[tuple[float, int, Running]] = []
        self._tick = count()
        self._spent = 0.0

    def run(self) -> Outcome:
        """Until the budget is spent, or the method begins nothing while nothing runs."""
        self._ask(0.0)
        while self._events and self._events[0][0] <= self.end:
            now = self._events[0][0]
            while self._events and self._events[0][0] == now:
                run = heapq.heappop(self._events)[2]
                if not run.over:
                    self._unit(run, now)
            self._ask(now)
        spent = self._spent + sum(run.spent for run in self.running.values())
        self.outcome.busy = spent / (self.end * self.workers)
        return self.outcome

    def _ask(self, now: float) -> None:
        """Lets the method decide, and again as long as what it stopped left workers free."""
        while True:
            free = self.workers - len(self.running)
            with self._timed():
                decision = self.method.decide(free)
            if len(decision.start) > free:
                raise RuntimeError(f"{len(decision.start)} jobs were to begin on {free} workers")
            stopped = [self.running[trial] for trial in decision.stop if trial in self.running]
            for run in stopped:
                self._leave(run)
            for job in decision.start:
                self._begin(job, now)
            if not stopped or len(self.running) == self.workers:
                return

    def _begin(self, job: Job, now: float) -> None:
        trained = self._trained.get(job.trial, 0)
        if job.trial in self.running or not trained < job.resource <= self.problem.max_resource:
            raise RuntimeError(f"trial {job.trial}, with {trained} units, cannot begin to be trained to {job.resource}")
        if job.trial not in self._curves:
            self.problem.space.check(job.parameters)
            self._curves[job.trial] = self.problem.curve(job.parameters, self.seed)
            self.outcome.trials += 1
        self.outcome.jobs += 1
        run = Running(job, self._curves[job.trial], now, trained, trained)
        self.running[job.trial] = run
        heapq.heappush(self._events, (run.next_time(), next(self._tick), run))

    def _unit(self, run: Running, now: float) -> None:
        """One more unit is trained, and its loss told."""
        run.trained += 1
        self._trained[run.job.trial] = run.trained
        self.outcome.units += 1
        loss = float(run.curve.observed[run.trained - 1])
        if not math.isfinite(loss):
            self._diverge(run)
            return
        if not self.outcome.steps or loss < self.outcome.steps[-1][1]:
            self.outcome.steps.append((now * self.workers, loss, float(run.curve.truth[run.trained - 1])))
        if self._report(run, run.trained, loss) and run.trained < run.job.resource:
            heapq.heappush(self._events, (run.next_time(), next(self._tick), run))
        else:
            self._leave(run)

    def _diverge(self, run: Running) -> None:
        """The job ends here. A method that takes no NaN is told a bad loss for every unit that was left, at no cost."""
        if self.method.takes_nan:
            self._report(run, run.trained, math.nan)
        else:
            for resource in range(run.trained, run.job.resource + 1):
                self._trained[run.job.trial] = resource
                if not self._report(run, resource, self.problem.diverged):
                    break
        self._leave(run)

    def _report(self, run: Running, resource: int, loss: float) -> bool:
        with self._timed():
            return self.method.report(run.job.trial, resource, loss)

    def _leave(self, run: Running) -> None:
        run.over = True
        del self.running[run.job.trial]
        self._spent += run.spent
        with self._timed():
            self.method.ended(run.job.trial)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.outcome.seconds += time.perf_counter() - wall
        self.outcome.cpu += time.process_time() - cpu
