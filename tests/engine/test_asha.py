"""ASHA by promotion, simulated: who goes on, when, and what happens at the end of a budget."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest

from engine.studies import BRANIN, Cluster, branin, learning_curve, make_study
from hpo_engine.planner import plan
from hpo_engine.study import Fidelity, SchedulerName, Study
from hpo_engine.trial import Measurement, Trial, TrialState

R27 = Fidelity("epochs", 1, 27)
LOSS = learning_curve(branin)


def study(trials: int, scheduler: SchedulerName = "ASHA", fidelity: Fidelity = R27) -> Study:
    return make_study(BRANIN, "Random", scheduler, trials=trials, fidelity=fidelity)


def measured_at(cluster: Cluster) -> Counter[int]:
    return Counter(m.resource for trial in cluster.trials.values() for m in trial.measurements)


def paused(index: int, *losses: float) -> Trial:
    """A trial that was measured at 1, 3, 9, ... epochs and waits."""
    measurements = tuple(Measurement(3**k, loss) for k, loss in enumerate(losses))
    rung = len(losses) - 1
    return Trial(index, {"x": 0.1 * index, "y": 1.0}, TrialState.REPORTED, rung, 3**rung, measurements)


def promoted(trials: list[Trial], total: int = 100, slots: int = 9) -> list[tuple[int, int, int]]:
    return [(p.index, p.rung, p.resource) for p in plan(study(total), trials, slots).promote]


def test_one_in_eta_of_what_was_measured_goes_on() -> None:
    assert promoted([paused(0, 1.0), paused(1, 2.0)]) == []
    assert promoted([paused(0, 1.0), paused(1, 0.5), paused(2, 2.0)]) == [(1, 1, 3)]
    six = [paused(i, float(i % 4)) for i in range(6)]
    assert promoted(six) == [(0, 1, 3), (4, 1, 3)]


def test_the_highest_rung_comes_first() -> None:
    low = [paused(i, 5.0 + i) for i in range(6)]
    high = [paused(10 + i, 1.0, 0.9 - 0.1 * i) for i in range(3)]
    assert promoted([*low, *high]) == [(12, 2, 9)]
    better = [paused(20 + i, 0.1, 0.2) for i in range(9)]
    assert [rung for _, rung, _ in promoted([*better, *(paused(i, 0.01) for i in range(3))])] == [2, 2, 2, 1, 1, 1]


def test_who_was_promoted_too_early_does_not_block_better_ones() -> None:
    """Trial 0 went on as the best of three; as two better ones come, they go on as well."""
    first = replace(paused(0, 3.0), state=TrialState.RUNNING, rung=1, resource=3)
    assert promoted([first, paused(1, 4.0), paused(2, 5.0)]) == []
    late = [first, paused(1, 4.0), paused(2, 5.0), *(paused(i, 0.1 * i) for i in (3, 4, 5))]
    assert promoted(late) == [(3, 1, 3), (4, 1, 3)]


def test_failures_that_were_not_measured_do_not_count() -> None:
    failed = [Trial(i, {"x": 1.0 * i, "y": 2.0}, TrialState.FAILED, resource=1, failure="Diverged") for i in (7, 8)]
    assert promoted([paused(0, 1.0), paused(1, 2.0), *failed]) == []
    assert promoted([paused(0, 1.0), paused(1, 2.0), paused(2, 3.0), *failed]) == [(0, 1, 3)]


def test_no_number_counts_and_never_goes_on() -> None:
    assert promoted([paused(0, math.nan), paused(1, math.inf), paused(2, 3.0)]) == [(2, 1, 3)]
    assert promoted([paused(i, math.nan) for i in range(6)]) == []


def test_a_trial_that_was_stopped_while_it_waited_is_passed_over() -> None:
    stopped = replace(paused(0, 1.0), state=TrialState.STOPPED)
    assert promoted([stopped, paused(1, 2.0), paused(2, 3.0)]) == [(1, 1, 3)]


@pytest.mark.parametrize("parallelism", [1, 4, 64])
@pytest.mark.parametrize("trials", [1, 2, 5, 40])
def test_the_smallest_study_reaches_the_top(trials: int, parallelism: int) -> None:
    cluster = Cluster(study(trials), LOSS, parallelism).run()
    at = measured_at(cluster)
    assert at[1] == trials
    assert at[27] >= 1
    for low, high in ((1, 3), (3, 9), (9, 27)):
        assert at[high] >= max(1, at[low] // 3)


def test_the_end_waits_for_what_can_still_come() -> None:
    """With the budget used up, the best of two goes on only once nothing below can become better."""
    running = Trial(2, {"x": 1.0, "y": 2.0}, TrialState.RUNNING, resource=1)
    assert promoted([paused(0, 1.0), paused(1, 2.0), running], total=3) == []
    assert promoted([paused(0, 1.0), paused(1, 2.0)], total=2) == [(0, 1, 3)]
    assert promoted([paused(0, 1.0), paused(1, 2.0)], total=3) == []


def test_no_slot_ever_waits_for_a_rung() -> None:
    cluster = Cluster(study(60), LOSS, 8)
    while not (step := cluster.plan()).done:
        cluster.perform(step)
        if len(cluster.trials) < 60:
            assert len(cluster.running()) == 8
        cluster.end(cluster.running()[-1])


def test_asynchronous_hyperband_fills_the_brackets_of_the_table() -> None:
    cluster = Cluster(study(49, "AsyncHyperband"), LOSS, 4).run()
    brackets = {s.index: s.rationale.bracket for p in cluster.plans for s in p.start}
    assert [brackets[i] for i in range(49)] == [3] * 27 + [2] * 12 + [1] * 6 + [0] * 4
    at = measured_at(cluster)
    assert at[1] == 27
    assert at[3] >= 9 + 12
    assert at[9] >= 3 + 4 + 6
    assert at[27] >= 1 + 1 + 2 + 4


def test_successive_halving_repeats_its_one_bracket() -> None:
    cluster = Cluster(study(54, "SuccessiveHalving"), LOSS, 4).run()
    assert measured_at(cluster) == {1: 54, 3: 18, 9: 6, 27: 2}
