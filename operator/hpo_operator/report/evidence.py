"""All that a report is made from: a study, its files, and what the engine's statistics say of it, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hpo_engine.analysis.belief import Belief, believe
from hpo_engine.analysis.importance import Importances, importances
from hpo_engine.analysis.rank_correlation import RankCorrelation, rank_correlations
from hpo_engine.analysis.remaining_gain import RemainingGain, remaining_gain
from hpo_engine.analysis.slices import Slice, marginal_slices, slices_at_best
from hpo_engine.incumbent import ranked
from hpo_engine.trial import Trial
from hpo_operator.api.trial import HpoTrial
from hpo_operator.manifests.names import trial_name
from hpo_operator.report.stored_study import StoredStudy
from hpo_operator.report.trade_off import TradeOff, trade_off

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class FinalModel:
    """What ``hpo finalize`` left: ``figures.json``, and its pictures (PNG) by name."""

    figures: Raw
    pictures: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """``raw``: the study's object. ``images``: container images that its Pods ran, with digests where known.

    ``version`` of hpo that makes the report; ``date`` of the report, only if one is wanted in it.
    """

    stored: StoredStudy
    raw: Raw
    version: str
    images: tuple[str, ...] = ()
    final: FinalModel | None = None
    date: str = ""

    @property
    def metric(self) -> str:
        return self.stored.study.objective.metric

    @property
    def unit(self) -> str:
        """Of the fidelity; empty without one."""
        fidelity = self.stored.study.fidelity
        return "" if fidelity is None else fidelity.resource

    @property
    def maximize(self) -> bool:
        return self.stored.study.objective.maximize

    @cached_property
    def measured(self) -> tuple[tuple[Trial, HpoTrial], ...]:
        """Trials with a measurement, as the engine and as the API see them."""
        pairs = zip(self.stored.trials, self.stored.objects, strict=True)
        return tuple((trial, found) for trial, found in pairs if trial.measurements)

    @cached_property
    def ranked(self) -> tuple[list[Trial], int]:
        """Comparable trials, the best first, and the resource at which."""
        return ranked(self.stored.study, self.stored.trials)

    @property
    def best(self) -> Trial | None:
        return self.ranked[0][0] if self.ranked[0] else None

    @cached_property
    def belief(self) -> Belief | None:
        return believe(self.stored.study, self.stored.trials)

    @cached_property
    def importances(self) -> Importances | None:
        return importances(self.stored.study, self.stored.trials)

    @cached_property
    def gains(self) -> tuple[RemainingGain, ...]:
        return () if self.belief is None else remaining_gain(self.belief)

    @cached_property
    def correlations(self) -> Mapping[int, RankCorrelation | None]:
        return rank_correlations(self.stored.study.objective, [trial for trial, _ in self.measured])

    @cached_property
    def trade_off(self) -> TradeOff | None:
        return trade_off(self.stored)

    @cached_property
    def slices(self) -> tuple[Mapping[str, Slice], Mapping[str, Slice]]:
        """At the best configuration, and on average; none without a model."""
        if self.belief is None:
            return {}, {}
        return slices_at_best(self.belief), marginal_slices(self.belief)

    def name(self, index: int) -> str:
        return trial_name(self.stored.name, index)
