"""Every sampler with every scheduler that a study accepts it with; every acquisition function of the GP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import get_args

import pytest

from engine.conformance import ManyObservations, PlanConformance
from engine.studies import BRANIN, LATTICE, MIXED, TINY, Loss, branin, lattice, make_study, mixed
from hpo_engine.errors import StudyError
from hpo_engine.space import Space
from hpo_engine.study import Acquisition, SamplerName, SamplerSettings, SchedulerName

SAMPLERS = (
    *(SamplerSettings(name) for name in get_args(SamplerName)),
    *(SamplerSettings("GP", acquisition=name) for name in get_args(Acquisition) if name != "LogEI"),
)
SCHEDULERS: tuple[SchedulerName, ...] = get_args(SchedulerName)


FEW_SCHEDULERS: tuple[SchedulerName, ...] = ("None", "Hyperband")
"""For a GP's other acquisition functions, of which no scheduler knows."""


def spaces(sampler: SamplerSettings) -> Sequence[tuple[Space, Loss]]:
    """A grid needs finite ones. One is enough for a GP's other acquisition functions: each study costs many fits."""
    if sampler.name == "Grid":
        return [(LATTICE, lattice)]
    return [(MIXED, mixed)] if sampler.acquisition != "LogEI" else [(BRANIN, branin), (MIXED, mixed)]


def may_be_combined(sampler: SamplerSettings, scheduler: SchedulerName) -> bool:
    try:
        replace(make_study(TINY, sampler.name, scheduler), sampler=sampler)
    except StudyError:
        return False
    return True


def combinations() -> Iterator[tuple[SamplerSettings, SchedulerName]]:
    for sampler in SAMPLERS:
        for scheduler in SCHEDULERS if sampler.acquisition == "LogEI" else FEW_SCHEDULERS:
            if may_be_combined(sampler, scheduler):
                yield sampler, scheduler


def name_of(sampler: SamplerSettings, scheduler: SchedulerName) -> str:
    acquisition = "" if sampler.acquisition == "LogEI" else sampler.acquisition
    return f"Test{sampler.name}{acquisition}With{scheduler}"


for sampler, scheduler in combinations():
    name = name_of(sampler, scheduler)
    base = ManyObservations if scheduler == "None" else PlanConformance
    few = {} if sampler.acquisition == "LogEI" else {"trials": 9}
    members = few | {"sampler": sampler, "scheduler": scheduler, "spaces": spaces(sampler), "__module__": __name__}
    globals()[name] = type(name, (base,), members)


def test_nothing_is_missing_from_the_matrix() -> None:
    """All but FreezeThaw, which is its own model's, go with every sampler."""
    combined = {(s.name, scheduler) for s, scheduler in combinations()}
    everywhere = [s for s in SCHEDULERS if s != "FreezeThaw"]
    assert {(sampler, s) for sampler in get_args(SamplerName) for s in everywhere} <= combined
    assert {s.acquisition for s, _ in combinations()} == set(get_args(Acquisition))


@pytest.mark.parametrize("scheduler", [s for s in SCHEDULERS if s != "None"])
def test_schedulers_ask_for_a_fidelity(scheduler: SchedulerName) -> None:
    with pytest.raises(StudyError, match="expected a fidelity"):
        replace(make_study(TINY, "GP", scheduler), fidelity=None)
