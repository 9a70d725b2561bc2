"""A memory between plans saves time and changes nothing, whatever happens in between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.studies import HARTMANN6, MIXED, make_study
from hpo_engine.memory import Memory
from hpo_engine.planner import plan
from hpo_engine.samplers import observations
from hpo_engine.samplers.base import History
from hpo_engine.space import Space
from hpo_engine.study import SamplerName, SchedulerName, Study
from hpo_engine.trial import Measurement, Parameters, Trial, TrialState

ENDS = (TrialState.REPORTED,) * 8 + (TrialState.FAILED, TrialState.STOPPED)


def trials_of(space: Space, n: int, generator: np.random.Generator, resource: int = 0) -> list[Trial]:
    return [
        outcome(Trial(i, space.decode(u), TrialState.RUNNING, resource=resource), generator)
        for i, u in points(space, n)
    ]


def points(space: Space, n: int) -> list[tuple[int, np.ndarray]]:
    return list(enumerate(np.random.default_rng(n).random((n, space.dimension))))


def outcome(trial: Trial, generator: np.random.Generator) -> Trial:
    """How a running trial ends: mostly with a value, at times with none or with NaN."""
    state = ENDS[generator.integers(len(ENDS))]
    if state is TrialState.FAILED:
        return replace(trial, state=state, failure="OutOfMemory")
    value = float("nan") if generator.random() < 0.05 else float(generator.normal())
    return replace(trial, state=state, measurements=(*trial.measurements, Measurement(trial.resource, value)))


def advanced(study: Study, trials: list[Trial], memory: Memory, generator: np.random.Generator) -> list[Trial]:
    """After one plan, made twice and found equal; some of what runs then ends, in any order."""
    shuffled = [trials[i] for i in generator.permutation(len(trials))]
    slots = int(generator.integers(1, 4))
    step = plan(study, shuffled, slots, memory)
    assert step == plan(study, trials, slots)
    promoted = {p.index: p for p in step.promote}
    after = [
        replace(t, state=TrialState.RUNNING, rung=promoted[t.index].rung, resource=promoted[t.index].resource)
        if t.index in promoted
        else t
        for t in trials
    ]
    after += [Trial(s.index, s.parameters, TrialState.RUNNING, resource=s.resource) for s in step.start]
    return [outcome(t, generator) if t.state is TrialState.RUNNING and generator.random() < 0.6 else t for t in after]


@given(
    st.sampled_from([MIXED, HARTMANN6]),
    st.sampled_from(["None", "Hyperband"]),
    st.integers(0, 90),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=12, deadline=None)
def test_plans_with_and_without_memory_are_equal(space: Space, scheduler: SchedulerName, n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    study = make_study(space, "GP", scheduler, trials=500, seed=seed)
    trials = [] if scheduler == "Hyperband" else trials_of(space, n, generator)
    memory = Memory()
    earlier = trials
    for _ in range(6):
        trials = advanced(study, trials, memory, generator)
        if generator.random() < 0.2:  # a restarted process may see an older state of the world
            trials, earlier = earlier, trials


@pytest.mark.parametrize("sampler", ["Random", "Sobol", "GP", "TPE"])
def test_what_is_remembered_of_a_trial_goes_when_its_parameters_change(sampler: SamplerName) -> None:
    study, memory = make_study(HARTMANN6, sampler, trials=50), Memory()
    trials = trials_of(HARTMANN6, 20, np.random.default_rng(0))
    plan(study, trials, 1, memory)
    trials[3].parameters["x0"] = 0.123
    trials[4].parameters.pop("x1")
    step = plan(study, trials, 1, memory)
    assert step == plan(study, trials, 1)
    assert any("trial 4 is left out" in note for note in step.notes)


def test_equal_numbers_of_another_type_are_looked_at_again() -> None:
    study, memory = make_study(MIXED), Memory()
    good: Parameters = MIXED.decode(np.full(MIXED.dimension, 0.5))
    odd = good | {"layers": True}
    assert good | {"layers": 1} == odd
    History.of(study, [Trial(0, good | {"layers": 1}, TrialState.REPORTED)], memory)
    here = History.of(study, [Trial(0, odd, TrialState.REPORTED)], memory)
    assert here.strangers == History.of(study, [Trial(0, odd, TrialState.REPORTED)]).strangers


def test_many_observations_with_and_without_memory() -> None:
    """Where deviations come from a part of the data, and a late trial moves all that come after it."""
    study, memory, generator = make_study(HARTMANN6, trials=1000), Memory(), np.random.default_rng(0)
    trials = trials_of(HARTMANN6, 560, generator)
    trials[540] = replace(trials[540], state=TrialState.RUNNING, measurements=(), failure=None)
    for _ in range(2):
        trials = advanced(study, trials, memory, generator)
        trials[540] = replace(trials[540], state=TrialState.REPORTED, measurements=(Measurement(0, -2.0),))


def learning(n: int, running: tuple[int, ...] = ()) -> int:
    """How many of ``n`` trials teach hyperparameters while some run."""
    trials = trials_of(HARTMANN6, n, np.random.default_rng(0))
    trials = [
        replace(t, state=TrialState.RUNNING, measurements=())
        if t.index in running
        else replace(t, state=TrialState.REPORTED, measurements=(Measurement(0, float(t.index)),))
        for t in trials
    ]
    study = make_study(HARTMANN6)
    return len(observations.observe(study, History.of(study, trials), 0).lessons)


def test_hyperparameters_are_learnt_in_stages() -> None:
    counts = [learning(n) for n in range(1, 200)]
    assert counts[:32] == list(range(1, 33))
    assert counts == sorted(counts)
    assert len(set(counts[100:])) <= 6
    assert all(learnt >= n / 1.2 for n, learnt in enumerate(counts, start=1))


def test_late_trials_do_not_move_the_stage_but_never_more_than_half_is_left_out() -> None:
    assert learning(120, running=(119, 118, 117)) == learning(117)
    assert learning(400, running=(7,)) == learning(400) - 1
    assert learning(100, running=(3,)) == 99
