"""What training costs in a simulation: stated by the user, or learned from what an earlier study measured.

Of a Pod's time some is spent before training, importing and loading, and the rest on units of the resource:
T = c + u s(x), with u units trained and s(x) the seconds of one with configuration x.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize_scalar

from hpo_engine.errors import StudyError
from hpo_engine.space import Space
from hpo_engine.surrogate.cost import CostModel, fit_cost
from hpo_engine.surrogate.trend import Features
from hpo_engine.trial import Parameters
from hpo_operator.api import engine_study
from hpo_operator.api.study import Study, StudySpec
from hpo_operator.api.trial import HpoTrial
from hpo_operator.manifests.names import RUNG_LABEL, TRIAL_LABEL
from hpo_operator.reconcile import clock
from hpo_operator.reconcile.pod_facts import PodState, gpu_count, read_pod

Raw = Mapping[str, Any]
STARTUP_SECONDS = 10.0
"""About what the built-in trainer needs to import torch and MONAI and to read its data."""
START_SECONDS = 2.0
"""From a Pod's creation to its start, with the image on the node."""
FEWEST_PAIRS = 2
"""Trials with rungs of different lengths that are needed to tell the time before training from training itself."""


class NoTimesError(ValueError):
    """An earlier study says nothing about what this one costs; the message says why."""


@dataclass(frozen=True)
class Prices:
    """One possible truth. ``startup``: seconds of a Pod before it trains; ``per_unit``: of a configuration."""

    startup: float
    per_unit: Callable[[Parameters], float]


class Costs(Protocol):
    """``start_seconds``: from a Pod's creation to its start."""

    @property
    def start_seconds(self) -> float: ...

    def drawn(self, chance: np.random.Generator) -> Prices:
        """One possible truth, as likely as the costs are believed to be."""
        ...


@dataclass(frozen=True)
class StatedCosts:
    """The same for every configuration."""

    seconds_per_unit: float
    startup: float = STARTUP_SECONDS
    start_seconds: float = START_SECONDS

    def drawn(self, chance: np.random.Generator) -> Prices:
        return Prices(self.startup, lambda _: self.seconds_per_unit)


@dataclass(frozen=True)
class Timed:
    """The Pod of one rung: ``units`` it trained, ``seconds`` it says it took. ``trial`` is an index."""

    trial: int
    units: int
    seconds: float


@dataclass(frozen=True)
class MeasuredCosts:
    """By a model of the logarithm of s(x) over the ``space`` of an earlier study.

    ``trials``: how many taught it. ``startup_known``: whether c was measured rather than assumed.
    """

    space: Space
    model: CostModel
    startup: float
    startup_known: bool
    start_seconds: float
    trials: int

    @property
    def typical(self) -> float:
        """Seconds per unit of the average configuration measured (the geometric mean)."""
        return math.exp(self.model.centre)

    def drawn(self, chance: np.random.Generator) -> Prices:
        """What the model does not know is the same for all configurations of a draw, its noise is each one's own."""
        shared = chance.standard_normal()
        noise: dict[str, float] = {}

        def per_unit(parameters: Parameters) -> float:
            mean, variance = self._predicted(parameters)
            own = noise.setdefault(repr(sorted(parameters.items())), chance.standard_normal())
            return math.exp(mean + shared * math.sqrt(variance) + own * math.sqrt(self.model.noise))

        return Prices(self.startup, per_unit)

    def _predicted(self, parameters: Parameters) -> tuple[float, float]:
        """Of log s(x); outside of the earlier study's space that of the average configuration there."""
        try:
            self.space.check(parameters)
        except StudyError:
            return self.model.centre, float(np.var(self.model.y)) if len(self.model.y) else 0.0
        mean, variance = self.model.predict(self.space.encode(parameters)[None, :])
        return float(mean[0]), float(variance[0])


def measured_costs(
    earlier: Study, trials: Sequence[HpoTrial], pods: Sequence[Raw], wanted: StudySpec, startup: float | None
) -> MeasuredCosts:
    """From the stored objects of a study; ``startup``: seconds of a Pod before it trains, None to measure it.

    Raises:
        NoTimesError: it measured no times, or those of another resource than the ``wanted`` study's.
    """
    _require_same_resource(earlier.spec, wanted)
    resumes = earlier.spec.trainer.checkpoints is not None
    timed = [one for trial in trials for one in _timed(trial, resumes)]
    if not timed:
        raise NoTimesError("no trial of it has measured how long it took")
    unreported = _unreported(earlier, trials, pods)
    within = within_startup(timed) if startup is None else max(0.0, startup - unreported)
    known = startup is not None or within is not None
    if within is None:
        within = min(STARTUP_SECONDS, min(one.seconds for one in timed) / 2) if earlier.spec.fidelity else 0.0
    space = engine_study.engine_study(earlier.spec).space
    by_index = {trial.spec.index: trial for trial in trials}
    indices = sorted({one.trial for one in timed})
    X = np.array([space.encode(engine_study.from_text(earlier.spec, by_index[i].spec.parameters)) for i in indices])
    per_unit = np.array([_per_unit([one for one in timed if one.trial == i], within) for i in indices])
    model = fit_cost(Features(space), X, per_unit)
    return MeasuredCosts(space, model, within + unreported, known, _start_seconds(pods), len(indices))


def within_startup(timed: Sequence[Timed]) -> float | None:
    """The c for which rungs of different lengths of one trial agree best on s; None: there are too few of them.

    Least squares of the logarithms of (T - c) / u around each trial's mean.
    """
    groups = [[one for one in timed if one.trial == i] for i in sorted({one.trial for one in timed})]
    pairs = [group for group in groups if len({one.units for one in group}) > 1]
    if len(pairs) < FEWEST_PAIRS:
        return None
    arrays = [(np.array([o.seconds for o in group]), np.array([o.units for o in group])) for group in pairs]
    most = 0.95 * min(float(seconds.min()) for seconds, _ in arrays)

    def disagreement(c: float) -> float:
        logs = [np.log((seconds - c) / units) for seconds, units in arrays]
        return float(sum(np.sum((log - log.mean()) ** 2) for log in logs))

    found = minimize_scalar(disagreement, bounds=(0.0, most), method="bounded")
    return float(found.x) if disagreement(float(found.x)) < disagreement(0.0) else 0.0


def _per_unit(timed: Sequence[Timed], startup: float) -> float:
    """Never 0: of what a Pod took at least a twentieth is training."""
    training = sum(max(one.seconds - startup, 0.05 * one.seconds) for one in timed)
    return training / sum(one.units for one in timed)


def _require_same_resource(earlier: StudySpec, wanted: StudySpec) -> None:
    then, now = (spec.fidelity.resource if spec.fidelity else "" for spec in (earlier, wanted))
    if then != now:
        shown = [f"seconds per unit of {r}" if r else "seconds per trial" for r in (then, now)]
        raise NoTimesError(f"it tells {shown[0]}, and this study needs {shown[1]}; give --seconds-per-epoch instead")


def _timed(trial: HpoTrial, resumes: bool) -> list[Timed]:
    found, before = [], 0
    for m in sorted(trial.status.measurements, key=lambda m: m.resource):
        if m.seconds is not None and m.seconds > 0:
            found.append(Timed(trial.spec.index, max(1, m.resource - before), m.seconds))
        before = m.resource if resumes else 0
    return found


def _unreported(earlier: Study, trials: Sequence[HpoTrial], pods: Sequence[Raw]) -> float:
    """Mean seconds of a measured Pod that its trainer does not count: before it looked at the clock first."""
    said = {(t.name, m.rung): m.seconds for t in trials for m in t.status.measurements if m.seconds is not None}
    beyond = [whole - said[key] for key, whole in _pod_seconds(pods).items() if key in said]
    if not beyond:
        template = earlier.spec.trainer.pod_template
        limits = earlier.spec.trainer.resources.dump()
        gpus = gpu_count(template["spec"] if template else {"containers": [{"resources": limits}]})
        whole = [t for t in trials if t.status.measurements and not t.status.interruptions and t.status.gpu_seconds]
        beyond = [
            (t.status.gpu_seconds / gpus - sum(m.seconds or 0.0 for m in t.status.measurements))
            / len(t.status.measurements)
            for t in whole
        ]
    return max(0.0, float(np.mean(beyond))) if beyond else 0.0


def _pod_seconds(pods: Sequence[Raw]) -> dict[tuple[str, int], float]:
    """By trial and rung, how long the Pod that ended well ran; whole seconds, too little as often as too much."""
    found = {}
    for raw in pods:
        facts, labels = read_pod(raw), raw["metadata"].get("labels") or {}
        if facts.state is PodState.SUCCEEDED and TRIAL_LABEL in labels:
            found[labels[TRIAL_LABEL], int(labels[RUNG_LABEL])] = clock.seconds_between(facts.started, facts.finished)
    return found


def _start_seconds(pods: Sequence[Raw]) -> float:
    waited = [
        clock.seconds_between(raw["metadata"].get("creationTimestamp"), facts.started)
        for raw in pods
        if (facts := read_pod(raw)).started is not None
    ]
    return float(np.mean(waited)) if waited else START_SECONDS
