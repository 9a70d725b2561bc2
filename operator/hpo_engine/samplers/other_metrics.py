"""Models of what trials measure besides the objective: constrained metrics, and a second objective."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hpo_engine.acquisition.functions import LogPI
from hpo_engine.acquisition.hypervolume import LogEHVI
from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray
from hpo_engine.samplers.base import History
from hpo_engine.samplers.model import Model, fit_model
from hpo_engine.seeding import Purpose, rng
from hpo_engine.study import Constraint, Objective, Study
from hpo_engine.surrogate.fitting import fit_surrogate
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Measurement, Trial

ROOM = 0.1
"""How far the reference lies beyond the worst of the front, as a share of the front's extent."""


def constraint_factors(study: Study, history: History) -> tuple[LogPI, ...]:
    """log P(constraint holds) for each constraint whose metric was measured twice or more.

    What counts is a trial's latest measurement of it.

    Raises:
        LinAlgError: a model could not be made.
    """
    factors = []
    for constraint in study.constraints:
        found = [(i, _excess(constraint, trial)) for i, trial in enumerate(history.members)]
        rows = [(i, excess) for i, excess in found if excess is not None]
        if len(rows) >= 2:
            X, excesses = history.encodings[[i for i, _ in rows]], np.array([excess for _, excess in rows])
            centre, spread = float(np.mean(excesses)), float(np.std(excesses)) or 1.0
            y, kinds = (excesses - centre) / spread, metrics(study.space)
            fit = fit_surrogate(study.sampler.kernel, kinds, X, y, rng(study.seed, Purpose.FIT))
            factors.append(LogPI(fit.posterior, -centre / spread))
    return tuple(factors)


def _excess(constraint: Constraint, trial: Trial) -> float | None:
    known = [m for m in trial.measurements if math.isfinite(m.metrics.get(constraint.metric, math.nan))]
    latest = max(known, key=lambda m: m.resource, default=None)
    return None if latest is None else constraint.excess(latest.metrics[constraint.metric])


@dataclass(frozen=True)
class Front:
    """The second objective's model, and what no trial dominates (m, 2) in both models' outputs."""

    model: Model
    points: FloatArray
    reference: tuple[float, float]

    def function(self, first: Posterior, second: Posterior) -> LogEHVI:
        return LogEHVI(first, second, self.points, self.reference)


def fit_front(study: Study, history: History, first: Model) -> Front | None:
    """None while too little is measured of the second objective."""
    assert study.second is not None  # asked for two objectives only
    other = seen_as(history, study.second)
    model = fit_model(replace(study, objective=study.second, second=None), other, Memory())
    if not isinstance(model, Model) or model.resource != first.resource:
        return None
    rows = []
    for m in (m for trial in history.members for m in trial.measurements if m.resource == first.resource):
        second = m.metrics.get(study.second.metric, math.nan)
        if math.isfinite(m.value) and math.isfinite(second) and study.fulfils(m):
            rows.append((study.objective.loss(m.value), study.second.loss(second)))
    losses = np.array(rows).reshape(len(rows), 2)
    y = np.stack([first.outputs.forward(losses[:, 0]), model.outputs.forward(losses[:, 1])], axis=1)
    points = undominated(y)
    if len(points) == 0:
        return Front(model, points, (float(np.max(first.posterior.y)), float(np.max(model.posterior.y))))
    worst, extent = points.max(axis=0), np.maximum(np.ptp(points, axis=0), ROOM)
    reference = worst + ROOM * extent
    return Front(model, points, (float(reference[0]), float(reference[1])))


def undominated(y: FloatArray) -> FloatArray:
    """Rows (m, 2) of ``y`` (n, 2) that no other is at least as good as in both, by ascending first column."""
    ordered = y[np.lexsort((y[:, 1], y[:, 0]))]
    lowest = np.minimum.accumulate(np.append(np.inf, ordered[:, 1]))[:-1] if len(y) else np.empty(0)
    return np.asarray(ordered[ordered[:, 1] < lowest])


def seen_as(history: History, objective: Objective) -> History:
    """The history as if ``objective`` were what the trials measured; NaN where they did not."""

    def turned(trial: Trial) -> Trial:
        values = [replace(m, value=m.metrics.get(objective.metric, math.nan)) for m in trial.measurements]
        return replace(trial, measurements=tuple[Measurement, ...](values))

    return replace(history, trials=tuple(map(turned, history.trials)), members=tuple(map(turned, history.members)))
