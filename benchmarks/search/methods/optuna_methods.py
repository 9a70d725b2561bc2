"""Optuna: random, TPE and the GP sampler at full resource, and TPE with the Hyperband pruner.

Samplers keep the defaults of the version, whose TPE is told of running trials by a constant liar. Conditions are its
own, by define-by-run. The pruner sees every unit, as a training loop would report it; a pruned trial is over.
"""

from __future__ import annotations

from typing import Any

import optuna

from hpo_engine.trial import Parameters
from search.methods.ask_tell import Ask, AskTell
from search.methods.dimensions import parents_first
from search.problems.base import Problem

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Optuna(AskTell):
    def __init__(self, name: str, problem: Problem, workers: int, seed: int) -> None:
        super().__init__(name, problem, workers, seed)
        sampler: Any = {
            "optuna-random": optuna.samplers.RandomSampler,
            "optuna-gp": optuna.samplers.GPSampler,
        }.get(name, optuna.samplers.TPESampler)(seed=seed)
        pruner: Any = optuna.pruners.NopPruner()
        if name == "optuna-tpe-hyperband":
            pruner = optuna.pruners.HyperbandPruner(1, problem.max_resource, reduction_factor=3)
        self.study = optuna.create_study(sampler=sampler, pruner=pruner, study_name=f"{name}-{seed}")
        self.pruned: set[int] = set()

    def ask(self) -> Ask:
        trial = self.study.ask()
        values: Parameters = {}
        for d in parents_first(self.problem.space):
            c = d.parameter.condition
            if c is not None and not (c.parameter in values and c.holds(values[c.parameter])):
                continue
            if d.kind == "choice":
                values[d.name] = d.value(trial.suggest_categorical(d.name, d.choices))
            elif d.kind == "real":
                values[d.name] = d.value(trial.suggest_float(d.name, d.low, d.high, log=d.log))
            else:
                values[d.name] = d.value(trial.suggest_int(d.name, int(d.low), int(d.high), log=d.log))
        return Ask(values, self.problem.max_resource, token=trial)

    def report(self, trial: int, resource: int, loss: float) -> bool:
        super().report(trial, resource, loss)
        if self.name != "optuna-tpe-hyperband":
            return True
        told = self.running[trial].token
        told.report(loss, resource)
        if resource < self.problem.max_resource and told.should_prune():
            self.pruned.add(trial)
            return False
        return True

    def ended(self, trial: int) -> None:
        if trial in self.pruned:
            self.study.tell(self.running.pop(trial).token, state=optuna.trial.TrialState.PRUNED)
        else:
            super().ended(trial)

    def tell(self, asked: Ask) -> None:
        self.study.tell(asked.token, asked.loss)
