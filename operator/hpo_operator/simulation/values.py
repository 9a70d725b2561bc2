"""What trials measure in a simulation: draws of the engine's own model of learning curves.

An earlier study of the same objective teaches it: a configuration that was measured there measures the same again, its
curve goes on from there, and others do as their like have done, as far as can be known. Without one the curves are a
draw of the model's prior: similar configurations do similarly, and short runs foretell long ones more or less well.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from hpo_engine.acquisition.pending import condemns
from hpo_engine.fidelity.brackets import ladder
from hpo_engine.parameters import FloatArray
from hpo_engine.samplers.base import History
from hpo_engine.study import Study
from hpo_engine.surrogate.curve_fitting import FINE, CurveLikelihood, curve_priors, thinned
from hpo_engine.surrogate.curves import JITTER, CurveData, CurveParameters
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.marginal import log_density, slice_samples
from hpo_engine.surrogate.outputs import fit_outputs
from hpo_engine.surrogate.paths import Path
from hpo_engine.surrogate.priors import Priors
from hpo_engine.trial import Measurement, Parameters, Trial

SAMPLES, BURN_IN = 16, 8
"""Hyperparameters that are as likely as each other, one of which is behind every draw."""


@dataclass(frozen=True)
class Curves:
    """Beliefs on the curves of a ``study``, in outputs of mean 0 and variance 1.

    ``data``: what an earlier study measured; ``numbers``: of its trials there, by the keys of their configurations.
    ``thetas`` (k, p): draws of the hyperparameters given these; None: nothing is known of them.
    """

    study: Study
    data: CurveData
    numbers: Mapping[str, int]
    thetas: FloatArray | None

    def drawn(self, chance: np.random.Generator) -> Landscape:
        return Landscape(self, self._theta(chance), chance)

    def _theta(self, chance: np.random.Generator) -> FloatArray:
        if self.thetas is not None:
            return np.asarray(self.thetas[int(chance.integers(len(self.thetas)))])
        priors = curve_priors(self.study.space.dimension)
        return np.clip(priors.mean + priors.sd * chance.standard_normal(len(priors.mean)), priors.low, priors.high)


def unknown_curves(study: Study) -> Curves:
    """Nothing was measured."""
    empty = np.zeros(0)
    data = CurveData(np.zeros((0, study.space.dimension)), empty, empty.astype(np.int64), empty, _maximum(study))
    return Curves(study, data, {}, None)


def learnt_curves(study: Study, earlier: Study, trials: Collection[Trial]) -> Curves:
    """From ``trials`` of an ``earlier`` study of the same objective, those that are configurations of ``study``."""
    members = [
        trial for trial in History.of(study, trials).members if not condemns(trial) and _told(trial, study, earlier)
    ]
    points = [(n, trial, m) for n, trial in enumerate(members) for m in _told(trial, study, earlier)]
    if not points:
        return unknown_curves(study)
    losses = np.array([study.objective.loss(m.value) for _, _, m in points])
    resources = np.array([float(min(max(m.resource, 1), _maximum(study))) for _, _, m in points])
    X = np.array([study.space.encode(trial.parameters) for _, trial, _ in points])
    owners = np.array([n for n, _, _ in points], dtype=np.int64)
    data = thinned(CurveData(X, resources, owners, fit_outputs(losses).forward(losses), _maximum(study)), FINE)
    numbers = {study.space.key(trial.parameters): n for n, trial in enumerate(members)}
    return Curves(study, data, numbers, _likely(study, data, curve_priors(study.space.dimension)))


def _told(trial: Trial, study: Study, earlier: Study) -> list[Measurement]:
    """What counts of a trial's measurements: the last, and those at rungs of either study."""
    levels = {level for one in (study, earlier) if one.fidelity for level in ladder(one.fidelity)}
    finite = [m for m in trial.measurements if math.isfinite(m.value)]
    last = max((m.resource for m in finite), default=0)
    return sorted((m for m in finite if m.resource in levels or m.resource == last), key=lambda m: m.resource)


def _likely(study: Study, data: CurveData, priors: Priors) -> FloatArray:
    likelihood = CurveLikelihood(study.sampler.kernel, metrics(study.space), data, priors)
    chance = np.random.default_rng(study.seed)
    return slice_samples(log_density(likelihood), priors.mean, priors, SAMPLES, BURN_IN, chance)


def _maximum(study: Study) -> int:
    return study.fidelity.maximum if study.fidelity else 1


class Landscape:
    """One draw of all curves; the same value whenever it is asked for."""

    def __init__(self, curves: Curves, theta: FloatArray, chance: np.random.Generator) -> None:
        study, data = curves.study, curves.data
        self._curves, self._chance = curves, chance
        self._theta = CurveParameters.of(study.sampler.kernel, metrics(study.space), theta)
        self._points, self._path = data[:0], Path(chance)
        self._known: dict[tuple[int, int], float] = {}
        for i in range(len(data.y)):
            one = data[i : i + 1]
            self._path.told(*self._seen(one), float(data.y[i] - self._level(one)))
            self._keep(one, float(data.y[i]))

    def loss(self, index: int, parameters: Parameters, resource: int) -> float:
        """Of trial ``index`` after ``resource`` units, as the model has outputs."""
        key = self._curves.study.space.key(parameters)
        number = self._curves.numbers.get(key, len(self._curves.numbers) + index)
        at = (number, min(max(resource, 1), self._points.maximum))
        if at not in self._known:
            one = self._point(parameters, *at)
            self._keep(one, self._path.drawn(*self._seen(one)) + self._level(one))
        return self._known[at]

    def _point(self, parameters: Parameters, number: int, resource: int) -> CurveData:
        x = self._curves.study.space.encode(parameters)[None, :]
        return CurveData(x, np.array([float(resource)]), np.array([number]), np.zeros(1), self._points.maximum)

    def _seen(self, one: CurveData) -> tuple[FloatArray, float]:
        """Covariances with the points so far, and the variance of what is measured."""
        variance = float(self._theta.variance(one.resource, one.maximum)[0]) + self._theta.noise + JITTER
        return self._theta.covariance(self._points, one)[:, 0], variance

    def _level(self, one: CurveData) -> float:
        return float(self._theta.level(one.resource, one.maximum)[0])

    def _keep(self, one: CurveData, value: float) -> None:
        self._points = self._points.with_points(one.X, one.resource, one.trial, one.y)
        self._known[int(one.trial[0]), int(one.resource[0])] = value
