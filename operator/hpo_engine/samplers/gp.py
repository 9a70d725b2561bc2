"""Bayesian optimisation: a space-filling start, then the largest acquisition function under a Gaussian process.

PI has two targets in parallel, so that near and far improvements take turns: trials with an even index are to beat the
best so far, the others to be 25 % better than it (as in the search of the ISBI 2017 paper on field-of-view
classification, section 2.3.2, eq. 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.linalg import LinAlgError

from hpo_engine.acquisition.functions import LCB, AcquisitionFunction, LogEI, LogPI, beta
from hpo_engine.acquisition.maximise import Choice, maximise
from hpo_engine.acquisition.pending import with_believed, with_failures
from hpo_engine.acquisition.thompson import thompson
from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray
from hpo_engine.rationale import Rationale
from hpo_engine.samplers.base import History, keys
from hpo_engine.samplers.observations import initial_trials, model_resource, observe, unresolved
from hpo_engine.samplers.sobol import SobolSampler
from hpo_engine.seeding import Purpose, rng
from hpo_engine.study import Study
from hpo_engine.surrogate.fitting import fit_surrogate
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.outputs import OutputTransform, fit_outputs
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Parameters, Trial

__all__ = ["GPSampler", "model_resource"]

ANCHORS = 5
"""The best trials so far, whose neighbourhood the maximisation looks at."""

XI = 0.01
"""ξ of PI in standard deviations of the outputs: with 0 the best trial itself would have a probability of a half."""
IMPROVEMENT = 0.25


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

    def __init__(self, study: Study, history: History, memory: Memory) -> None:
        self._study, self._history, self._memory = study, history, memory
        self._initial = SobolSampler(study, history)
        self._used = history.used(study.space)
        self.notes: tuple[str, ...] = ()

    def suggest(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        if index < initial_trials(self._study) or self._model is None:
            return self._initial.suggest(index, pending)
        model, space = self._model, self._study.space
        self.notes = model.notes
        posterior = self._with_pending(model, pending)
        choice = self._choose(model, posterior, self._used | keys(space, pending), index)
        if choice is None:
            return self._initial.suggest(index, pending)
        mean, sd = posterior.predict(choice.encoded[None, :])
        low, middle, high = model.outputs.inverse(np.array([mean[0] - sd[0], mean[0], mean[0] + sd[0]]))
        return choice.parameters, Rationale(
            origin="GP",
            mean=self._study.objective.loss(float(middle)),
            sigma=float(high - low) / 2,
            acquisition=float(np.exp(choice.value))
            if self._study.sampler.acquisition in ("EI", "PI")
            else choice.value,
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

    def _choose(self, model: Model, posterior: Posterior, used: set[str], index: int) -> Choice | None:
        space, generator = self._study.space, rng(self._study.seed, Purpose.CANDIDATES, index)
        acquisition = self._study.sampler.acquisition
        if acquisition == "Thompson":
            try:
                return thompson(space, posterior, used, model.anchors, generator)
            except LinAlgError as error:
                self.notes = (*model.notes, f"no function could be drawn ({error}); a suggestion is space-filling")
                return None
        return maximise(space, self._function(acquisition, model, posterior, index), used, model.anchors, generator)

    def _function(
        self, name: Literal["LogEI", "EI", "PI", "UCB"], model: Model, posterior: Posterior, index: int
    ) -> AcquisitionFunction:
        match name:
            case "LogEI" | "EI":
                return LogEI(posterior, model.best)
            case "PI":
                best = model.best if index % 2 == 0 else improved(model.outputs, model.best)
                return LogPI(posterior, best - XI)
            case "UCB":
                return LCB(posterior, beta(self._study.space.dimension, index))

    def _with_pending(self, model: Model, pending: Sequence[Trial]) -> Posterior:
        """The beliefs when every trial without an outcome turned out as predicted."""
        return with_believed(model.posterior, unresolved(self._study, self._history, pending, model.resource))


def improved(outputs: OutputTransform, best: float) -> float:
    """The output whose loss is better than that of output ``best`` by 25 % of its size."""
    loss = outputs.inverse(np.array([best]))
    return float(outputs.forward(loss - IMPROVEMENT * np.abs(loss))[0])


def _fit(study: Study, history: History, resource: int) -> Model:
    seen = observe(study, history, resource)
    outputs = fit_outputs(seen.losses)
    y = outputs.forward(seen.losses)
    fit = fit_surrogate(study.sampler.kernel, metrics(study.space), seen.X, y, rng(study.seed, Purpose.FIT))
    best = float(np.min(fit.posterior.predict(seen.X)[0]))
    posterior = with_failures(fit.posterior, seen.condemned)
    anchors = seen.X[np.argsort(y, kind="stable")[:ANCHORS]]
    return Model(resource, posterior, outputs, best, anchors, fit.notes)
