"""Freeze-thaw: at every free slot, any paused trial may go on, or a new one begin; the model of the curves decides.

Each decision has a horizon and a target of its own, drawn for it: how many rungs to look ahead, and how far below the
lowest loss so far one wants to get. Whatever promises the largest expected improvement of that target within that
horizon gets the slot, for one rung; then it is paused again, and everything is compared anew. A short horizon asks for
trials that are good already, a long one for those that may become good, a near target exploits and a far one explores.
No single horizon or target is right for all curves, and drawing them spreads the bets (Rakotoarison et al. 2024,
"In-Context Freeze-Thaw Bayesian Optimization for Hyperparameter Optimization", section 3.2 and eq. 4, with expected
improvement in place of its probability). The name is that of Swersky et al. 2014, whose entropy search it replaces.

When all trials of the study have begun, those that may still beat the incumbent go on, the most promising first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hpo_engine.acquisition.factors import Product
from hpo_engine.acquisition.functions import LogEI
from hpo_engine.acquisition.log_ei import log_ei
from hpo_engine.acquisition.maximise import Choice, maximise
from hpo_engine.fidelity.base import Advance
from hpo_engine.fidelity.brackets import ladder
from hpo_engine.memory import Memory
from hpo_engine.rationale import Rationale
from hpo_engine.samplers.base import History, keys
from hpo_engine.samplers.curve_model import CurveModel
from hpo_engine.samplers.gp import GPSampler
from hpo_engine.samplers.observations import encoded, initial_trials
from hpo_engine.seeding import Purpose, rng
from hpo_engine.study import Study
from hpo_engine.trial import Parameters, Trial, TrialState

NEAREST, FARTHEST = -3.0, 0.0
"""log10 of how far a target lies below the lowest output, in units of the distance from there to the median."""
WORTHWHILE = 0.01
"""Expected improvement, in standard deviations of the outputs, below which a paused trial is left as it is."""

STARTS = 4
"""Places that the search for a new trial refines: the target is drawn, so there is no need to hit it exactly."""

Start = tuple[int, Parameters, Rationale]


@dataclass(frozen=True)
class Steps:
    """``starts`` and ``advances`` in the order of the decisions; ``more``: paused trials are worth another slot."""

    starts: tuple[Start, ...]
    advances: tuple[Advance, ...]
    more: bool
    notes: tuple[str, ...]


class FreezeThaw:
    """The decisions of one plan. What was decided a moment ago counts as running for the next."""

    def __init__(self, study: Study, history: History, memory: Memory) -> None:
        assert study.fidelity is not None  # Study refuses the scheduler without one
        self._study, self._history = study, history
        self._gp = GPSampler(study, history, memory)
        self._ladder = ladder(study.fidelity)
        self._used = history.used(study.space)

    def steps(self, unused: Sequence[int], slots: int) -> Steps:
        """What to do with ``slots`` free slots, if at most the indices ``unused`` may begin."""
        starts: list[Start] = []
        advances: list[Advance] = []
        left, pending = list(unused), list[Trial]()
        made = sum(trial.rung + 1 for trial in self._history.trials)
        for step in range(made, made + max(0, slots)):
            index = left[0] if left else None
            decision = self._decide(step, index, pending)
            if isinstance(decision, Trial):
                advances.append(Advance(decision.index, decision.rung, decision.resource))
                pending.append(decision)
            elif decision is not None and index is not None:
                parameters, rationale = decision
                starts.append((left.pop(0), parameters, rationale))
                pending.append(Trial(index, parameters, TrialState.RUNNING, resource=self._ladder[0]))
            else:
                break
        more = not unused and bool(self._worthwhile(pending))
        return Steps(tuple(starts), tuple(advances), more, self._gp.notes)

    def _decide(
        self, step: int, index: int | None, pending: Sequence[Trial]
    ) -> Trial | tuple[Parameters, Rationale] | None:
        """The trial that goes on, as it will be told to; or what trial ``index`` begins with; or nothing."""
        if index is None:
            return next(iter(self._worthwhile(pending)), None)
        model = self._believing(pending)
        if index < initial_trials(self._study) or model is None:
            return self._gp.suggest(index, pending)
        draws = rng(self._study.seed, Purpose.HORIZON, step)
        horizon = int(draws.integers(1, len(self._ladder) + 1))
        distance = 10.0 ** draws.uniform(NEAREST, FARTHEST) * max(model.middle - model.lowest, 1e-9)
        target = model.lowest - distance
        thawed, value = self._best_paused(model, horizon, target, pending)
        choice = self._best_new(model, horizon, target, pending, step, value)
        if thawed is not None and (choice is None or value > choice.value):
            return thawed
        if choice is None:
            return self._gp.suggest(index, pending)
        return choice.parameters, self._gp.rationale(model, model.posterior, choice)

    def _best_paused(
        self, model: CurveModel, horizon: int, target: float, pending: Sequence[Trial]
    ) -> tuple[Trial | None, float]:
        """The paused trial of the largest expected improvement ``horizon`` rungs on, told to go one; its logarithm."""
        thawed = [self._ahead(trial, 1) for trial in self._paused(pending)]
        if not thawed:
            return None, -math.inf
        ahead = np.array([float(self._ahead(trial, horizon - 1).resource) for trial in thawed])
        values = log_ei(*model.predict(self._study, thawed, ahead), target)
        for factor in self._gp.constraints:
            values = values + factor(encoded(self._study.space, thawed))
        best = int(np.argmax(values))
        return thawed[best], float(values[best])

    def _best_new(
        self, model: CurveModel, horizon: int, target: float, pending: Sequence[Trial], step: int, rival: float
    ) -> Choice | None:
        space, factors = self._study.space, self._gp.factors
        function = LogEI(model.curves.slice(self._ladder[horizon - 1]), target)
        used, generator = self._used | keys(space, pending), rng(self._study.seed, Purpose.CANDIDATES, step)
        whole = Product(function, factors) if factors else function
        return maximise(space, whole, used, model.anchors, generator, STARTS, rival)

    def _worthwhile(self, pending: Sequence[Trial]) -> list[Trial]:
        """Paused trials one rung further on, the most promising first, as far as they may still beat the incumbent.

        The trial that is believed to be the best is always brought to the end.
        """
        paused = self._paused(pending)
        if not paused:
            return []
        model = self._believing(pending)
        if model is None:
            return [self._ahead(trial, 1) for trial in paused]
        ends = np.full(len(paused), float(self._ladder[-1]))
        means, sds = model.predict(self._study, paused, ends)
        gains = np.exp(log_ei(means, sds, model.best))
        order = np.argsort(-gains, kind="stable")
        worth = (gains >= WORTHWHILE) | (means <= model.best + 1e-9)
        return [self._ahead(paused[i], 1) for i in order if worth[i]]

    def _paused(self, pending: Sequence[Trial]) -> list[Trial]:
        """Measured with finite values all along, and not at the end yet."""
        taken = {trial.index for trial in pending}
        return [trial for trial in self._history.members if trial.index not in taken and self._may_go_on(trial)]

    def _may_go_on(self, trial: Trial) -> bool:
        return (
            trial.state is TrialState.REPORTED
            and trial.resource < self._ladder[-1]
            and trial.value_at(trial.resource) is not None
            and all(math.isfinite(m.value) for m in trial.measurements)
        )

    def _ahead(self, trial: Trial, rungs: int) -> Trial:
        """The trial told to reach the resource ``rungs`` rungs above its own, at most the highest."""
        if rungs == 0:
            return trial
        above = [level for level in self._ladder if level > trial.resource]
        resource = above[min(rungs, len(above)) - 1] if above else trial.resource
        return replace(trial, state=TrialState.RUNNING, rung=trial.rung + 1, resource=resource)

    def _believing(self, pending: Sequence[Trial]) -> CurveModel | None:
        model = self._model
        return None if model is None else model.believing(self._study, self._history, pending)

    @cached_property
    def _model(self) -> CurveModel | None:
        model = self._gp.model
        return model if isinstance(model, CurveModel) else None
