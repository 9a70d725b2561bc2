"""Decisions between paused trials and new ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.studies import BRANIN, Cluster, branin, learning_curve, make_study
from hpo_engine.errors import StudyError
from hpo_engine.memory import Memory
from hpo_engine.planner import plan
from hpo_engine.study import Constraint, Fidelity, SamplerSettings, Study
from hpo_engine.trial import Measurement, Parameters, Trial, TrialState

EPOCHS = Fidelity("epochs", 1, 16, eta=2)


def study(trials: int = 40, seed: int = 0) -> Study:
    return make_study(BRANIN, "GP", "FreezeThaw", trials, seed, fidelity=EPOCHS)


def scaled(p: Parameters, resource: int) -> float:
    """Branin between 0 and 1, or so."""
    return learning_curve(branin)(p, resource) / 300


def paused(index: int, x: float, y: float, *values: float) -> Trial:
    """Measured after 1, 2, 4, ... epochs."""
    measurements = tuple(Measurement(2**k, value) for k, value in enumerate(values))
    return Trial(index, {"x": x, "y": y}, TrialState.REPORTED, len(values) - 1, measurements[-1].resource, measurements)


def test_trials_begin_with_the_least_resource_and_go_on_rung_by_rung() -> None:
    cluster = Cluster(study(), scaled, 3, memory=Memory()).run(60)
    steps = [p for step in cluster.plans for p in step.promote]
    assert {s.resource for step in cluster.plans for s in step.start} == {1}
    assert {(p.rung, p.resource) for p in steps} <= {(1, 2), (2, 4), (3, 8), (4, 16)}
    assert len(steps) > 10


def test_the_resource_goes_to_the_good_ones() -> None:
    """The tenth of the trials that got most is far better than what it was chosen from."""
    cluster = Cluster(study(), scaled, 2, memory=Memory()).run(80)
    trials = sorted(cluster.trials.values(), key=lambda t: (-t.resource, t.index))
    most = [branin(t.parameters) for t in trials[: len(trials) // 10]]
    everyone = sorted(branin(t.parameters) for t in trials)
    assert max(most) < everyone[len(everyone) // 3]


def test_once_all_have_begun_only_what_may_still_win_goes_on() -> None:
    """One is far ahead, and one hopeless: the study is done when the first is at its end, without the other."""
    ahead = paused(0, 3.1, 2.3, 0.9, 0.5, 0.3)
    others = [paused(i, -5 + 1.5 * i, 0.5 * i, 3.0 + 0.1 * i, 2.9 + 0.1 * i, 2.85 + 0.1 * i) for i in range(1, 8)]
    these, told = study(8), []
    trials: dict[int, Trial] = {t.index: t for t in (ahead, *others)}
    for _ in range(20):
        step = plan(these, tuple(trials.values()), 1)
        if step.done:
            break
        assert not step.start
        for p in step.promote:
            told.append(p.index)
            value = 0.3 - 0.02 * p.rung if p.index == 0 else trials[p.index].latest.value - 0.02
            measured = (*trials[p.index].measurements, Measurement(p.resource, value))
            trials[p.index] = replace(trials[p.index], rung=p.rung, resource=p.resource, measurements=measured)
    assert step.done
    assert trials[0].resource == 16
    assert set(told) == {0}


def test_a_broken_constraint_is_not_thawed() -> None:
    these = replace(study(60), constraints=(Constraint("memory", maximum=8.0),))

    def told(limit_kept_by_the_best: bool) -> set[int]:
        trials = []
        for i in range(20):
            good = 0.1 * (i % 5) - (0.3 if i == 0 else 0.0)
            broken = i == 0 and not limit_kept_by_the_best
            trial = paused(i, -5 + 0.7 * i, (3.7 * i) % 15, 1.0 + good, 0.8 + good)
            known = {"memory": 16.0 if broken else 4.0}
            trials.append(replace(trial, measurements=tuple(replace(m, metrics=known) for m in trial.measurements)))
        return {p.index for p in plan(these, trials, 6).promote}

    assert 0 in told(limit_kept_by_the_best=True)
    assert 0 not in told(limit_kept_by_the_best=False)


@pytest.mark.parametrize(
    "sampler, field",
    [
        (SamplerSettings("TPE"), "sampler.type"),
        (SamplerSettings("GP", acquisition="PI"), "sampler.acquisition"),
        (SamplerSettings("GP", cost_aware=True), "sampler.costAware"),
        (SamplerSettings("GP", marginalise=True), "sampler.marginalise"),
    ],
)
def test_what_it_cannot_be_combined_with(sampler: SamplerSettings, field: str) -> None:
    with pytest.raises(StudyError) as caught:
        replace(study(), sampler=sampler)
    assert caught.value.field == f"algorithm.{field}"
