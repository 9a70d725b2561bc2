"""Hyperband, simulated: which trials go on, when, and at what cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.studies import BRANIN, TINY, Cluster, branin, learning_curve, make_study, tiny
from hpo_engine.planner import plan
from hpo_engine.study import Fidelity, Study
from hpo_engine.trial import Trial, TrialState

R27 = Fidelity("epochs", 1, 27)
LOSS = learning_curve(branin)


def study(trials: int, fidelity: Fidelity = R27, seed: int = 0) -> Study:
    return make_study(BRANIN, "Random", "Hyperband", trials=trials, seed=seed, fidelity=fidelity)


def measured_at(trials: dict[int, Trial]) -> Counter[int]:
    return Counter(m.resource for trial in trials.values() for m in trial.measurements)


@pytest.mark.parametrize("parallelism", [1, 4, 64])
def test_one_iteration_measures_the_table_and_costs_357_epochs(parallelism: int) -> None:
    cluster = Cluster(study(49), LOSS, parallelism).run()
    assert measured_at(cluster.trials) == {1: 27, 3: 9 + 12, 9: 3 + 4 + 6, 27: 1 + 1 + 2 + 4}
    assert cluster.resource_used == 357


@pytest.mark.parametrize("parallelism", [1, 4, 64])
def test_the_best_of_each_rung_go_on(parallelism: int) -> None:
    cluster = Cluster(study(27), LOSS, parallelism).run()
    ranked = sorted(cluster.trials.values(), key=lambda t: (t.value_at(1) or 0.0, t.index))
    assert {t.index for t in ranked[:9]} == {i for i, t in cluster.trials.items() if t.rung >= 1}
    assert {t.index for t in ranked[:3]} == {i for i, t in cluster.trials.items() if t.rung >= 2}
    assert {t.index for t in ranked[:1]} == {i for i, t in cluster.trials.items() if t.rung == 3}


def test_maximising_promotes_the_largest() -> None:
    asked = replace(study(9, Fidelity("epochs", 1, 9)), objective=make_study(BRANIN, maximize=True).objective)
    cluster = Cluster(asked, LOSS).run()
    first = {i: t.value_at(1) or 0.0 for i, t in cluster.trials.items()}
    best = sorted(first, key=lambda i: -first[i])[:3]
    assert {i for i, t in cluster.trials.items() if t.rung >= 1} == set(best)


def test_brackets_repeat_until_the_budget_is_used() -> None:
    cluster = Cluster(study(49 + 30), LOSS, 8).run()
    assert len(cluster.trials) == 79
    assert measured_at(cluster.trials)[1] == 54
    brackets = {s.index: s.rationale.bracket for p in cluster.plans for s in p.start}
    expected = [3] * 27 + [2] * 12 + [1] * 6 + [0] * 4 + [3] * 27 + [2] * 3
    assert [brackets[i] for i in range(79)] == expected


@pytest.mark.parametrize("trials", range(1, 30))
def test_a_truncated_bracket_still_reaches_the_top(trials: int) -> None:
    cluster = Cluster(study(trials), LOSS, 3).run()
    at = measured_at(cluster.trials)
    first = min(trials, 27)
    second = trials - first
    widths = [max(1, first // 3**k) for k in range(4)]
    assert at[1] == first
    assert at[3] == widths[1] + second
    assert at[27] == 1 + (1 if second else 0)


@pytest.mark.parametrize("parallelism", [1, 4, 64])
def test_failures_do_not_shrink_the_next_rung(parallelism: int) -> None:
    cluster = Cluster(study(27), LOSS, parallelism, fails=lambda i: i % 2 == 0).run()
    assert measured_at(cluster.trials) == {1: 13, 3: 9, 9: 3, 27: 1}


def test_few_survivors_all_go_on() -> None:
    cluster = Cluster(study(27), LOSS, 4, fails=lambda i: i not in (3, 20)).run()
    assert measured_at(cluster.trials) == {1: 2, 3: 2, 9: 2, 27: 1}


def test_total_failure_ends_the_study() -> None:
    cluster = Cluster(study(30), LOSS, 4, fails=lambda i: True).run()
    assert measured_at(cluster.trials) == {}
    assert len(cluster.trials) == 30


def test_a_failure_on_a_higher_rung_is_not_replaced() -> None:
    cluster = Cluster(study(27), LOSS, 27).run(27)
    cluster.perform(cluster.plan())
    first, *others = cluster.running()
    cluster.trials[first] = replace(cluster.trials[first], state=TrialState.FAILED, failure="OutOfMemory")
    for index in others:
        cluster.end(index)
    step = cluster.plan()
    assert {p.rung for p in step.promote} == {2}
    assert len(step.promote) == 3
    assert first not in {p.index for p in step.promote}


def test_a_stopped_trial_settles_its_rung_and_stays() -> None:
    cluster = Cluster(study(9, Fidelity("epochs", 1, 9)), LOSS, 9)
    cluster.perform(cluster.plan())
    for index in range(8):
        cluster.end(index)
    assert cluster.plan().promote == ()
    cluster.trials[8] = replace(cluster.trials[8], state=TrialState.STOPPED)
    assert len(cluster.plan().promote) == 3
    assert 8 not in {p.index for p in cluster.plan().promote}


def test_no_slot_idles_while_a_rung_waits() -> None:
    cluster = Cluster(study(49), LOSS, 30)
    cluster.perform(cluster.plan())
    assert cluster.running() == list(range(30))
    for index in range(26):
        cluster.end(index)
    step = cluster.plan()
    assert step.promote == ()
    assert [s.index for s in step.start] == list(range(30, 49))
    assert {s.resource for s in step.start} == {3, 9, 27}


def test_promotions_come_before_new_trials() -> None:
    cluster = Cluster(study(49), LOSS, 27)
    cluster.perform(cluster.plan())
    for index in range(27):
        cluster.end(index)
    step = cluster.plan()
    assert [len(step.promote), len(step.start)] == [9, 18]
    few = plan(cluster.study, tuple(cluster.trials.values()), 2)
    assert [len(few.promote), len(few.start)] == [2, 0]
    assert few.promote == step.promote[:2]


def test_a_raised_budget_continues_a_truncated_bracket() -> None:
    cluster = Cluster(study(5), LOSS, 2).run()
    cluster.study = study(27)
    cluster.run()
    at = measured_at(cluster.trials)
    assert at[1] == 27
    assert at[3] == 9
    assert 3 <= at[9] <= 4
    assert 1 <= at[27] <= 2


def test_a_lowered_budget_lets_what_exists_finish() -> None:
    cluster = Cluster(study(27), LOSS, 5).run(10)
    cluster.study = study(6)
    begun = len(cluster.trials)
    cluster.run()
    assert len(cluster.trials) == begun
    assert measured_at(cluster.trials)[27] == 1


@pytest.mark.parametrize("parallelism", [1, 4, 64])
def test_an_exhausted_space_closes_its_brackets(parallelism: int) -> None:
    asked = make_study(TINY, "Random", "Hyperband", trials=40, fidelity=R27)
    cluster = Cluster(asked, learning_curve(tiny), parallelism).run()
    assert measured_at(cluster.trials) == {1: 8, 3: 2, 9: 1, 27: 1}
    assert cluster.plans[-1].notes == ("all 8 configurations of the space were tried",)


@pytest.mark.parametrize("fails", [lambda i: False, lambda i: i % 3 == 1])
def test_parallelism_does_not_change_what_is_measured(fails: Callable[[int], bool]) -> None:
    one, many = (Cluster(study(79), LOSS, p, fails).run() for p in (1, 16))
    assert {i: t.measurements for i, t in one.trials.items()} == {i: t.measurements for i, t in many.trials.items()}
