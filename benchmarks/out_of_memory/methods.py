"""The searches that are compared: each asks for a configuration, and is told its loss or that it ran out of memory.

Peers are called as their documentation has it for failed trials:

optuna-*-fail        the trial's state is FAIL, which Optuna's samplers leave out
optuna-*-constraint  the trial has the worst loss that was seen, and a constraint that is violated
skopt-worst          told the worst loss that was seen (1 before the first)
skopt-dropped        never told, as Katib does it (pkg/suggestion/v1beta1/skopt: only succeeded trials are told)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from hpo_engine.parameters import CategoricalParameter, FloatParameter
from hpo_engine.planner import plan
from hpo_engine.space import Space
from hpo_engine.study import Objective, SamplerName, SamplerSettings, Study
from hpo_engine.trial import Measurement, Parameters, Trial, TrialState
from out_of_memory.problem import Outcome


class Search(Protocol):
    def ask(self) -> Parameters: ...

    def tell(self, parameters: Parameters, outcome: Outcome) -> None: ...


class Ours:
    """The engine; ``reports``: whether trials that went well tell their peak memory."""

    def __init__(self, space: Space, trials: int, seed: int, reports: bool, sampler: SamplerName = "GP") -> None:
        self._study = Study(space, Objective("loss", maximize=False), trials, seed, SamplerSettings(sampler))
        self._reports, self._trials = reports, dict[int, Trial]()

    def ask(self) -> Parameters:
        (start,) = plan(self._study, tuple(self._trials.values()), 1).start
        self._trials[start.index] = Trial(start.index, start.parameters, TrialState.RUNNING)
        return start.parameters

    def tell(self, parameters: Parameters, outcome: Outcome) -> None:
        index, trial = max(self._trials.items())
        if outcome.loss is None:
            self._trials[index] = replace(trial, state=TrialState.FAILED, failure="OutOfMemory")
            return
        measured = Measurement(0, outcome.loss, memory=outcome.memory if self._reports else None)
        self._trials[index] = replace(trial, state=TrialState.REPORTED, measurements=(measured,))


class Optuna:
    def __init__(self, space: Space, trials: int, seed: int, sampler: str, constraint: bool) -> None:
        import optuna

        warnings.simplefilter("ignore")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._space, self._constraint, self._worst = optuna, space, constraint, None
        options: dict[str, Any] = {"seed": seed}
        if constraint:
            options["constraints_func"] = lambda trial: (trial.user_attrs["violation"],)
        if sampler == "tpe":
            made = optuna.samplers.TPESampler(**options, multivariate=True)
        else:
            made = optuna.samplers.GPSampler(**options)
        self._study = optuna.create_study(sampler=made)

    def ask(self) -> Parameters:
        self._trial = self._study.ask()
        return {p.name: self._suggested(p) for p in self._space.parameters}

    def _suggested(self, p: Any) -> Any:
        if isinstance(p, CategoricalParameter):
            return self._trial.suggest_categorical(p.name, p.choices)
        if isinstance(p, FloatParameter):
            return self._trial.suggest_float(p.name, p.low, p.high, log=p.log)
        return self._trial.suggest_int(p.name, p.low, p.high, log=p.log, step=p.step)

    def tell(self, parameters: Parameters, outcome: Outcome) -> None:
        failed = outcome.loss is None
        if not failed:
            self._worst = max(outcome.loss, self._worst or 0.0)
        if failed and not self._constraint:
            self._study.tell(self._trial, state=self._optuna.trial.TrialState.FAIL)
            return
        self._trial.set_user_attr("violation", 1.0 if failed else -1.0)
        self._study.tell(self._trial, (self._worst or 1.0) if failed else outcome.loss)


class Skopt:
    """As Katib calls it: a GP, gp_hedge, 10 initial points."""

    def __init__(self, space: Space, trials: int, seed: int, dropped: bool) -> None:
        import skopt

        warnings.simplefilter("ignore")
        self._space, self._dropped, self._worst = space, dropped, None
        self._optimizer = skopt.Optimizer(
            [self._dimension(p, skopt.space) for p in space.parameters],
            base_estimator="GP",
            n_initial_points=10,
            acq_func="gp_hedge",
            acq_optimizer="auto",
            random_state=seed,
        )

    @staticmethod
    def _dimension(p: Any, kinds: Any) -> Any:
        if isinstance(p, CategoricalParameter):
            return kinds.Categorical(p.choices, name=p.name)
        prior = "log-uniform" if p.log else "uniform"
        if isinstance(p, FloatParameter):
            return kinds.Real(p.low, p.high, prior=prior, name=p.name)
        if p.step > 1:
            return kinds.Integer(0, p.cells - 1, name=p.name)
        return kinds.Integer(p.low, p.high, prior=prior, name=p.name)

    def ask(self) -> Parameters:
        self._point = self._optimizer.ask()
        return {p.name: self._value(p, x) for p, x in zip(self._space.parameters, self._point, strict=True)}

    @staticmethod
    def _value(p: Any, x: Any) -> Any:
        if isinstance(p, CategoricalParameter):
            return str(x)
        if isinstance(p, FloatParameter):
            return float(x)
        return p.value(int(x)) if p.step > 1 else int(x)

    def tell(self, parameters: Parameters, outcome: Outcome) -> None:
        if outcome.loss is not None:
            self._worst = max(outcome.loss, self._worst or 0.0)
            self._optimizer.tell(self._point, outcome.loss)
        elif not self._dropped:
            self._optimizer.tell(self._point, self._worst or 1.0)


METHODS: dict[str, Callable[[Space, int, int], Search]] = {
    "ours-memory-reports": lambda space, trials, seed: Ours(space, trials, seed, True),
    "ours-no-reports": lambda space, trials, seed: Ours(space, trials, seed, False),
    "random": lambda space, trials, seed: Ours(space, trials, seed, False, "Random"),
    "optuna-gp-fail": lambda space, trials, seed: Optuna(space, trials, seed, "gp", False),
    "optuna-gp-constraint": lambda space, trials, seed: Optuna(space, trials, seed, "gp", True),
    "optuna-tpe-fail": lambda space, trials, seed: Optuna(space, trials, seed, "tpe", False),
    "optuna-tpe-constraint": lambda space, trials, seed: Optuna(space, trials, seed, "tpe", True),
    "skopt-worst": lambda space, trials, seed: Skopt(space, trials, seed, False),
    "skopt-dropped": lambda space, trials, seed: Skopt(space, trials, seed, True),
}
