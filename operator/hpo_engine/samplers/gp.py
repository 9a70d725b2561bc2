"""Bayesian optimisation: a space-filling start, then the largest acquisition function under a Gaussian process.

PI has two targets in parallel, so that near and far improvements take turns: trials with an even index are to beat the
best so far, the others to be 25 % better than it (as in the search of the ISBI 2017 paper on field-of-view
classification, section 2.3.2, eq. 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.linalg import LinAlgError

from hpo_engine.acquisition.averaged import LogAverage
from hpo_engine.acquisition.beliefs import Beliefs
from hpo_engine.acquisition.factors import Inverse, LogFactor, Power, Product
from hpo_engine.acquisition.functions import LCB, Batched, LogEI, LogPI, beta
from hpo_engine.acquisition.maximise import Choice, maximise
from hpo_engine.acquisition.thompson import thompson
from hpo_engine.memory import Memory
from hpo_engine.rationale import Rationale
from hpo_engine.samplers.base import History, keys
from hpo_engine.samplers.curve_model import CurveModel
from hpo_engine.samplers.experience import cost_model, feasibility_models
from hpo_engine.samplers.feasible_start import FeasibleStart
from hpo_engine.samplers.model import Model, fit_model
from hpo_engine.samplers.observations import initial_trials, model_resource
from hpo_engine.samplers.other_metrics import Front, constraint_factors, fit_front
from hpo_engine.seeding import Purpose, rng
from hpo_engine.study import Study
from hpo_engine.surrogate.outputs import OutputTransform
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Parameters, Trial

__all__ = ["GPSampler", "model_resource"]

XI = 0.01
"""ξ of PI in standard deviations of the outputs: with 0 the best trial itself would have a probability of a half."""
IMPROVEMENT = 0.25
BELIEF_FADES = 10.0
"""β of πBO is the budget in trials divided by this, as in the paper (section 4.1)."""
CAUTION = 8.0
"""Exponent of P(feasible). With 1 a search whose optimum lies on the boundary fails half of the time, and ends no
better: it goes where the boundary is thought too far."""


class GPSampler:
    """Sobol points until the initial design is done and enough is measured, then the model's suggestions."""

    def __init__(self, study: Study, history: History, memory: Memory) -> None:
        self._study, self._history, self._memory = study, history, memory
        self._used = history.used(study.space)
        self.notes: tuple[str, ...] = ()

    def suggest(self, index: int, pending: Sequence[Trial]) -> tuple[Parameters, Rationale] | None:
        if index < initial_trials(self._study) or self.model is None:
            return self._initial.suggest(index, pending)
        model = self.model
        self.notes = model.notes
        model = model.believing(self._study, self._history, pending)
        posterior = model.posterior
        choice = self._choose(model, posterior, pending, index)
        if choice is None:
            return self._initial.suggest(index, pending)
        return choice.parameters, self.rationale(model, posterior, choice)

    def rationale(self, model: Model | CurveModel, posterior: Posterior, choice: Choice) -> Rationale:
        """What ``posterior`` believes of ``choice``, in the user's units."""
        mean, sd = posterior.predict(choice.encoded[None, :])
        low, middle, high = model.outputs.inverse(np.array([mean[0] - sd[0], mean[0], mean[0] + sd[0]]))
        return Rationale(
            origin="GP",
            mean=self._study.objective.loss(float(middle)),
            sigma=float(high - low) / 2,
            acquisition=float(np.exp(choice.value))
            if self._study.sampler.acquisition in ("EI", "PI")
            else choice.value,
        )

    @cached_property
    def model(self) -> Model | CurveModel | None:
        """The fit, once for all suggestions of a plan: it depends on the history alone."""
        try:
            return fit_model(self._study, self._history, self._memory)
        except LinAlgError as error:
            self.notes = (f"no model could be fitted ({error}); suggestions are space-filling",)
            return None

    @cached_property
    def _initial(self) -> FeasibleStart:
        return FeasibleStart(self._study, self._history, self._feasible)

    @cached_property
    def _feasible(self) -> tuple[LogFactor, ...]:
        return feasibility_models(self._study, self._history, self._memory)

    @cached_property
    def factors(self) -> tuple[LogFactor, ...]:
        """What the acquisition function is multiplied by, as logarithms, whatever the trial's index."""
        cautious = [Power(model, CAUTION) for model in self._feasible]
        cost = cost_model(self._study, self._history, self._memory) if self._study.sampler.cost_aware else None
        return (*cautious, *self.constraints, *(() if cost is None else (Inverse(cost),)))

    @cached_property
    def constraints(self) -> tuple[LogFactor, ...]:
        """Logarithms of the probabilities that the constraints hold."""
        return constraint_factors(self._study, self._history)

    def _factors(self, index: int) -> tuple[LogFactor, ...]:
        """The same, and the user's beliefs, which fade."""
        if not self._study.beliefs:
            return self.factors
        fading = self._study.trials / BELIEF_FADES / (index + 1)
        return (*self.factors, Power(Beliefs(self._study.space, self._study.beliefs), fading))

    @cached_property
    def _front(self) -> Front | None:
        """The second objective's beliefs; None where there is none, or too little is known."""
        if self._study.second is None or not isinstance(self.model, Model):
            return None
        return fit_front(self._study, self._history, self.model)

    def _choose(
        self, model: Model | CurveModel, posterior: Posterior, pending: Sequence[Trial], index: int
    ) -> Choice | None:
        space, generator = self._study.space, rng(self._study.seed, Purpose.CANDIDATES, index)
        used, factors = self._used | keys(space, pending), self._factors(index)
        acquisition = self._study.sampler.acquisition
        if acquisition == "Thompson":
            try:
                return thompson(space, posterior, used, model.anchors, generator, factors)
            except LinAlgError as error:
                self.notes = (*model.notes, f"no function could be drawn ({error}); a suggestion is space-filling")
                return None
        if self._front is None:
            function = self._averaged(acquisition, model, posterior, index)
        else:
            other = self._front.model.believing(self._study, self._history, pending).posterior
            function = self._front.function(posterior, other)
        if factors:
            function = Product(function, factors)
        return maximise(space, function, used, model.anchors, generator)

    def _averaged(
        self, name: Literal["LogEI", "EI", "PI", "UCB"], model: Model | CurveModel, posterior: Posterior, index: int
    ) -> Batched:
        """Over the hyperparameters that were drawn, if any were."""
        if name == "UCB" or not isinstance(model, Model) or not model.draws:
            return self._function(name, model, posterior, index)
        functions = (
            self._function(name, replace(model, best=best), drawn, index)
            for drawn, best in zip(model.draws, model.draws_best, strict=True)
        )
        return LogAverage(tuple(functions), posterior)

    def _function(
        self, name: Literal["LogEI", "EI", "PI", "UCB"], model: Model | CurveModel, posterior: Posterior, index: int
    ) -> Batched:
        match name:
            case "LogEI" | "EI":
                return LogEI(posterior, model.best)
            case "PI":
                best = model.best if index % 2 == 0 else improved(model.outputs, model.best)
                return LogPI(posterior, best - XI)
            case "UCB":
                return LCB(posterior, beta(self._study.space.dimension, index))


def improved(outputs: OutputTransform, best: float) -> float:
    """The output whose loss is better than that of output ``best`` by 25 % of its size."""
    loss = outputs.inverse(np.array([best]))
    return float(outputs.forward(loss - IMPROVEMENT * np.abs(loss))[0])
