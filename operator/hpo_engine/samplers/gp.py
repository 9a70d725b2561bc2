"""Bayesian optimisation: a space-filling start, then the largest log expected improvement under a Gaussian process.

With a fidelity the model is fitted to the measurements at one resource, the highest at which enough trials were
measured (the rule of Falkner et al. 2018, "BOHB", section 3.2): few long runs tell less than many short ones, until
they are no longer few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError

from hpo_engine.acquisition.maximise import LogEI, maximise
from hpo_engine.acquisition.pending import condemns, with_believed, with_failures
from hpo_engine.incumbent import loss_at
from hpo_engine.parameters import FloatArray
from hpo_engine.rationale import Rationale
from hpo_engine.samplers.base import History, keys
from hpo_engine.samplers.sobol import SobolSampler
from hpo_engine.seeding import Purpose, rng
from hpo_engine.space import Space
from hpo_engine.study import Study
from hpo_engine.surrogate.fitting import fit_surrogate
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.outputs import OutputTransform, fit_outputs
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Parameters, Trial, TrialState

ANCHORS = 5
"""The best trials so far, whose neighbourhood the maximisation looks at."""


@dataclass(frozen=True)
class Model:
    """The surrogate of all that was measured at ``resource``; ``best``: its lowest mean at a measured point."""

    resource: int
    posterior: Posterior
    outputs: OutputTransform
    best: float
    anchors: FloatArray
    notes: tuple[str, ...]


class GPSampler:
    """Sobol points until the initial design is done and enough is measured, then the model's suggestions."""

    def __init__(self, study: Study, history: History) -> None:
        self._study, self._history = study, history
        self._initial = SobolSampler(study, history)
        self._used = history.used(study.space)
        self.notes: tuple[str, ...] = ()

    def suggest(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        if index < initial_trials(self._study) or self._model is None:
            return self._initial.suggest(index, pending)
        model, space = self._model, self._study.space
        self.notes = model.notes
        function = LogEI(self._with_pending(model, pending), model.best)
        generator = rng(self._study.seed, Purpose.CANDIDATES, index)
        choice = maximise(space, function, self._used | keys(space, pending), model.anchors, generator)
        if choice is None:
            return self._initial.suggest(index, pending)
        mean, sd = function.posterior.predict(choice.encoded[None, :])
        low, middle, high = model.outputs.inverse(np.array([mean[0] - sd[0], mean[0], mean[0] + sd[0]]))
        return choice.parameters, Rationale(
            origin="GP",
            mean=self._study.objective.loss(float(middle)),
            sigma=float(high - low) / 2,
            acquisition=choice.log_ei if self._study.sampler.acquisition == "LogEI" else float(np.exp(choice.log_ei)),
        )

    @cached_property
    def _model(self) -> Model | None:
        """The fit, once for all suggestions of a plan: it depends on the history alone."""
        resource = model_resource(self._study, self._history)
        if resource is None:
            return None
        try:
            return _fit(self._study, self._history, resource)
        except LinAlgError as error:
            self.notes = (f"no model could be fitted ({error}); suggestions are space-filling",)
            return None

    def _with_pending(self, model: Model, pending: Sequence[Trial]) -> Posterior:
        """All trials without an outcome at the model's resource, in the order of their indices."""
        running = [
            trial
            for trial in self._history.members
            if trial.state is TrialState.RUNNING and trial.value_at(model.resource) is None
        ]
        believed = sorted([*running, *pending], key=lambda trial: trial.index)
        return with_believed(model.posterior, _encoded(self._study.space, believed))


def initial_trials(study: Study) -> int:
    """How many space-filling suggestions come first.

    The default d + 2 is enough for the model's priors to do better than chance; at most a third of a small budget.
    """
    if study.sampler.initial_trials is not None:
        return study.sampler.initial_trials
    return min(max(4, min(study.space.dimension + 2, 10)), max(2, study.trials // 3))


def model_resource(study: Study, history: History) -> int | None:
    """The highest resource with enough finite measurements; None when there is none."""
    enough = max(2, min(initial_trials(study), study.space.dimension + 1))
    counts: dict[int, int] = {}
    for trial in history.members:
        for measurement in trial.measurements:
            if np.isfinite(measurement.value):
                counts[measurement.resource] = counts.get(measurement.resource, 0) + 1
    return max((resource for resource, count in counts.items() if count >= enough), default=None)


def _fit(study: Study, history: History, resource: int) -> Model:
    measured, losses, condemned = [], [], []
    for trial in history.members:
        loss = loss_at(study.objective, trial, resource)
        if loss is not None and np.isfinite(loss):
            measured.append(trial)
            losses.append(loss)
        elif condemns(trial) or loss is not None:
            condemned.append(trial)
    X = _encoded(study.space, measured)
    outputs = fit_outputs(np.array(losses))
    y = outputs.forward(np.array(losses))
    fit = fit_surrogate(study.sampler.kernel, metrics(study.space), X, y, rng(study.seed, Purpose.FIT))
    best = float(np.min(fit.posterior.predict(X)[0]))
    posterior = with_failures(fit.posterior, _encoded(study.space, condemned))
    anchors = X[np.argsort(y, kind="stable")[:ANCHORS]]
    return Model(resource, posterior, outputs, best, anchors, fit.notes)


def _encoded(space: Space, trials: Sequence[Trial]) -> FloatArray:
    """Encodings (n, d) of the trials' parameters."""
    return np.array([space.encode(trial.parameters) for trial in trials]).reshape(len(trials), space.dimension)
