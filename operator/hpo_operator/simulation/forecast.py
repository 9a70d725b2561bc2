"""What a study will use, before it uses anything: the study run to its end in the virtual cluster, several times over.

The decisions are the operator's own, from the study's own seed. Drawn anew each time are the values that trials
measure, on which promotions and stops depend, and the costs, both as far as they are not known.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from hpo_engine.fidelity import rung_levels, watched_levels
from hpo_engine.memory import Memory
from hpo_engine.trial import Parameters
from hpo_operator.api import engine_study
from hpo_operator.api.parse import parse_study
from hpo_operator.api.study import Study
from hpo_operator.manifests.names import TRIAL_LABEL
from hpo_operator.manifests.pod import PodSettings
from hpo_operator.reconcile.pod_facts import gpu_count
from hpo_operator.reconcile.snapshot import Sample
from hpo_operator.simulation.cluster import Node, VirtualCluster
from hpo_operator.simulation.costs import Costs, Prices
from hpo_operator.simulation.plain import Asked, Raw, Run
from hpo_operator.simulation.values import Curves, Landscape, unknown_curves

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
SETTINGS = PodSettings("simulated")


@dataclass(frozen=True)
class Rung:
    """``trials`` measured at ``resource``; the ``units`` that they trained for it, and the seconds of their Pods."""

    resource: int
    trials: int
    units: int
    pod_seconds: float


@dataclass(frozen=True)
class Outcome:
    """One simulated study. ``busy``: the most Pods that ran at once. ``reason``: why it ended, as its status says."""

    pod_seconds: float
    wall_seconds: float
    pods: int
    trials: int
    busy: int
    rungs: tuple[Rung, ...]
    reason: str


@dataclass
class _Running:
    asked: Asked
    began: datetime
    base: int
    end: datetime


@dataclass
class _Ledger:
    pod_seconds: float = 0.0
    busy: int = 0
    measured: Counter[int] = field(default_factory=Counter)
    units: Counter[int] = field(default_factory=Counter)
    seconds: dict[int, float] = field(default_factory=dict)


def pod_gpus(study: Study) -> int:
    """GPUs that a Pod of the study holds."""
    template, limits = study.spec.trainer.pod_template, study.spec.trainer.resources.dump()
    return gpu_count(template["spec"] if template else {"containers": [{"resources": limits}]})


def forecast(
    raw: Raw, costs: Costs, seeds: Sequence[int], places: int | None = None, curves: Curves | None = None
) -> list[Outcome]:
    """The study ``raw`` (valid, of parallelism above 0) run once for each seed, on ``places`` for Pods.

    ``curves``: learnt from an earlier study of the same objective. A target is never reached, and every constraint is
    taken to hold.
    """
    study = parse_study(simulated(raw))
    node = Node(places, costs.start_seconds)
    curves = curves or unknown_curves(engine_study.engine_study(study.spec))
    return [_run(raw, study, costs, node, seed, curves) for seed in seeds]


def simulated(raw: Raw) -> Raw:
    """The study as it is run: fresh, not suspended, and with nothing to ask for or to reach."""
    made = copy.deepcopy(raw)
    made["metadata"] = {"name": raw["metadata"]["name"], "namespace": "simulated", "uid": "simulated", "generation": 1}
    made.pop("status", None)
    made["spec"] |= {"suspend": False}
    objective = made["spec"]["objective"]
    made["spec"]["objective"] = {key: objective[key] for key in ("metric", "direction")}
    return made


def _run(raw: Raw, study: Study, costs: Costs, node: Node, seed: int, curves: Curves) -> Outcome:
    chance = np.random.default_rng((study.spec.seed, seed))
    prices, landscape = costs.drawn(curves.study.space, chance), curves.drawn(chance)
    second = unknown_curves(curves.study).drawn(chance) if study.spec.second_objective else None
    cluster = SpendingCluster(simulated(raw), study, node, prices, landscape, second)
    while not cluster.status.get("completionTime") and cluster.step():
        pass
    return cluster.outcome()


class SpendingCluster(VirtualCluster):
    """A virtual cluster that keeps account. A trial's first measurement comes from its units alone or, without
    ``trainer.checkpoints``, each from the first unit on. ``second``: of the second objective, if there is one.
    """

    def __init__(
        self, raw: Raw, study: Study, node: Node, prices: Prices, landscape: Landscape, second: Landscape | None = None
    ) -> None:
        super().__init__(raw, self.trained, SETTINGS, BEGINNING, node, Memory())
        engine = engine_study.engine_study(study.spec)
        self._spec, self._prices, self._landscape, self._second = study.spec, prices, landscape, second
        self._resumes, self._watched = study.spec.trainer.checkpoints is not None, watched_levels(engine)
        self._rungs = rung_levels(engine)
        self._reached: dict[str, int] = {}
        self._begun: dict[str, _Running] = {}
        self._ledger = _Ledger()

    def outcome(self) -> Outcome:
        ledger = self._ledger
        rungs = (Rung(r, n, ledger.units[r], ledger.seconds[r]) for r, n in sorted(ledger.measured.items()))
        return Outcome(
            ledger.pod_seconds,
            (self.now - BEGINNING).total_seconds(),
            sum(TRIAL_LABEL in pod["metadata"]["labels"] for pod in self.pods.values()),
            len(self.trials),
            ledger.busy,
            tuple(rungs),
            str(self.status.get("reason", "")),
        )

    def trained(self, asked: Asked) -> Run:
        base = self._base(asked)
        units = asked.resource - base if asked.resource else 1
        seconds = self._prices.startup + units * self._prices.per_unit(self._parameters(asked))
        metrics = self._metrics(asked)
        message = {"hpo": "measurement", "metrics": metrics, "resource": asked.resource, "seconds": seconds}
        return Run(json.dumps(message), seconds=seconds)

    def started(self, pod: str) -> None:
        if TRIAL_LABEL not in self.pods[pod]["metadata"]["labels"]:
            return
        asked = self.asked(pod)
        self._begun[pod] = _Running(asked, self.now, self._base(asked), self._ends[pod][0])
        self._ledger.busy = max(self._ledger.busy, len(self._begun))

    def ended(self, pod: str) -> None:
        run = self._begun.pop(pod, None)
        self.samples.pop(pod, None)
        if run is None:
            return
        seconds = (self.now - run.began).total_seconds()
        self._ledger.pod_seconds += seconds
        if self.now >= run.end:  # and was not told to stop before
            resource = run.asked.resource
            self._reached[run.asked.trial] = resource
            self._ledger.measured[resource] += 1
            self._ledger.units[resource] += resource - run.base if resource else 1
            self._ledger.seconds[resource] = self._ledger.seconds.get(resource, 0.0) + seconds

    def advance(self, wake_at: datetime | None = None) -> bool:
        """As ever, but also to the moments at which the operator would see a running trial pass a level."""
        self.start_pods()
        times = [time for time in (wake_at, self._next_level()) if time is not None]
        if not super().advance(min(times, default=None)):
            return False
        for pod, run in self._begun.items():
            if (passed := self._passed(run)) is not None:
                self.samples[pod] = passed
        return True

    def _base(self, asked: Asked) -> int:
        return self._reached.get(asked.trial, 0) if self._resumes else 0

    def _parameters(self, asked: Asked) -> Parameters:
        texts = self.trials[asked.trial]["spec"]["parameters"]
        return engine_study.from_text(self._spec, texts)

    def _index(self, asked: Asked) -> int:
        return int(self.trials[asked.trial]["spec"]["index"])

    def _value(self, asked: Asked, resource: int) -> float:
        parameters = self._parameters(asked)
        loss = self._landscape.loss(self._index(asked), parameters, resource) - self._prices.gain(parameters)
        return -loss if self._spec.objective.direction == "Maximize" else loss

    def _metrics(self, asked: Asked) -> dict[str, float]:
        """The objective; bounded metrics at their bounds; a second objective that the first tells nothing about."""
        found: dict[str, float] = {}
        for bound in self._spec.constraints:
            found[bound.metric] = float(bound.max if bound.max is not None else bound.min or 0.0)
        if self._second is not None and (second := self._spec.second_objective) is not None:
            found[second.metric] = self._second.loss(self._index(asked), self._parameters(asked), asked.resource)
        return found | {self._spec.objective.metric: self._value(asked, asked.resource)}

    def _level_times(self, run: _Running) -> list[tuple[datetime, int]]:
        """When the run passes each level before its end at which the scheduler looks."""
        levels = [level for level in self._watched if run.base < level < run.asked.resource]
        whole = (run.end - run.began).total_seconds() - self._prices.startup
        share = whole / (run.asked.resource - run.base) if levels else 0.0
        first = run.began + timedelta(seconds=self._prices.startup)
        return [(first + timedelta(seconds=share * (level - run.base)), level) for level in levels]

    def _next_level(self) -> datetime | None:
        times = (time for run in self._begun.values() for time, _ in self._level_times(run) if time > self.now)
        return min(times, default=None)

    def _passed(self, run: _Running) -> Sample | None:
        passed = [level for time, level in self._level_times(run) if time <= self.now]
        if not passed:
            return None
        curve = [(level, self._value(run.asked, level)) for level in passed]
        return Sample(curve[-1][1], passed[-1], tuple(curve[:-1]))
