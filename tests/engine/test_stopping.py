"""Schedulers that stop running trials, by the numbers and in simulated studies."""

from __future__ import annotations

import math
from statistics import mean, median

import pytest

from engine.studies import BRANIN, Cluster, branin, learning_curve, make_study
from hpo_engine.incumbent import incumbent
from hpo_engine.planner import plan
from hpo_engine.study import Fidelity, SchedulerName, Study
from hpo_engine.trial import Measurement, Trial, TrialState

R27 = Fidelity("epochs", 1, 27)
RUNNING, REPORTED, STOPPED = TrialState.RUNNING, TrialState.REPORTED, TrialState.STOPPED


def study(scheduler: SchedulerName = "ASHAStopping", trials: int = 100, maximize: bool = False) -> Study:
    return make_study(BRANIN, "Random", scheduler, trials=trials, fidelity=R27, maximize=maximize)


def trial(index: int, state: TrialState, values: dict[int, float]) -> Trial:
    measurements = tuple(Measurement(resource, value) for resource, value in values.items())
    return Trial(index, {"x": 0.1 * index, "y": 1.0}, state, 0, 27, measurements)


def stopped(*trials: Trial, of: Study | None = None) -> tuple[int, ...]:
    return plan(of or study(), trials, 0).stop


def test_the_best_third_at_a_level_runs_on() -> None:
    running = [trial(i, RUNNING, {1: float(i)}) for i in range(7)]
    assert stopped(*running[:2]) == ()
    assert stopped(*running[:3]) == (1, 2)
    assert stopped(*running) == (3, 4, 5, 6)


def test_maximising_stops_the_smallest() -> None:
    assert stopped(*(trial(i, RUNNING, {1: float(i)}) for i in range(3)), of=study(maximize=True)) == (0, 1)


def test_a_trial_is_judged_at_the_highest_level_that_it_reached() -> None:
    slow_start = trial(0, RUNNING, {1: 9.0, 3: 0.1})
    others = [trial(i, STOPPED, {1: 0.1 * i, 3: 1.0 * i}) for i in range(1, 6)]
    assert stopped(slow_start, *others) == ()
    assert stopped(trial(0, RUNNING, {1: 0.0, 2: 0.0, 3: 5.5}), *others) == (0,)


def test_what_lies_between_the_levels_is_not_compared() -> None:
    others = [trial(i, REPORTED, {1: 1.0, 3: 1.0, 9: 1.0, 27: 1.0}) for i in range(1, 6)]
    assert stopped(trial(0, RUNNING, {2: 50.0}), *others) == ()
    assert stopped(trial(0, RUNNING, {1: 0.5, 2: 50.0}), *others) == ()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_stopped_at_once(value: float) -> None:
    assert stopped(trial(0, RUNNING, {1: value})) == (0,)


def test_trials_without_measurements_are_left_alone() -> None:
    others = [trial(i, REPORTED, {1: 1.0, 27: 1.0}) for i in range(1, 9)]
    for scheduler in ("ASHAStopping", "MedianStopping"):
        assert stopped(trial(0, RUNNING, {}), *others, of=study(scheduler)) == ()


CURVES = [{1: 8.0, 3: 4.0, 9: 3.0}, {1: 6.0, 3: 6.0, 9: 6.0}, {1: 2.0, 3: 2.0, 9: 2.0, 27: 2.0}]


def completed() -> list[Trial]:
    return [trial(i, REPORTED, curve) for i, curve in enumerate(CURVES, 10)]


def test_median_rule_compares_the_best_so_far_with_means_so_far() -> None:
    means = [mean(curve[r] for r in (1, 3)) for curve in CURVES]
    assert median(means) == 6.0
    asked = study("MedianStopping")
    assert stopped(trial(0, RUNNING, {1: 7.0, 3: 6.1}), *completed(), of=asked) == (0,)
    assert stopped(trial(0, RUNNING, {1: 7.0, 3: 6.0}), *completed(), of=asked) == ()
    assert stopped(trial(0, RUNNING, {1: 5.9, 3: 60.0}), *completed(), of=asked) == ()
    assert median(mean(curve[r] for r in (1, 3, 9)) for curve in CURVES) == 5.0
    assert stopped(trial(0, RUNNING, {1: 9.0, 9: 5.9}), *completed(), of=asked) == (0,)


def test_median_rule_waits_for_three_completed_trials_and_the_grace_period() -> None:
    asked = make_study(BRANIN, "Random", "MedianStopping", trials=100, fidelity=Fidelity("epochs", 3, 27))
    bad = trial(0, RUNNING, {1: 90.0})
    assert stopped(bad, *completed(), of=asked) == ()
    bad = trial(0, RUNNING, {1: 90.0, 3: 90.0})
    assert stopped(bad, *completed()[:2], of=asked) == ()
    assert stopped(bad, *completed(), of=asked) == (0,)


def test_median_rule_survives_what_is_no_number() -> None:
    asked = study("MedianStopping")
    diverged = [trial(i, REPORTED, {1: math.nan, 27: math.inf}) for i in range(20, 24)]
    assert stopped(trial(0, RUNNING, {1: math.nan}), *completed(), of=asked) == (0,)
    assert stopped(trial(0, RUNNING, {1: math.nan}), *completed(), *diverged, of=asked) == ()
    assert stopped(trial(0, RUNNING, {1: 1e6}), *completed(), *diverged, of=asked) == ()


@pytest.mark.parametrize("scheduler", ["ASHAStopping", "MedianStopping"])
@pytest.mark.parametrize("parallelism", [1, 4, 64])
def test_a_study_saves_most_of_its_epochs_and_keeps_its_best_trial(scheduler: SchedulerName, parallelism: int) -> None:
    asked = study(scheduler, trials=60)
    cluster = Cluster(asked, learning_curve(branin), parallelism).run()
    states = {trial.state for trial in cluster.trials.values()}
    assert states == {REPORTED, STOPPED}
    assert cluster.resource_used < 60 * 27 * (0.5 if scheduler == "ASHAStopping" else 0.9)
    best = incumbent(asked, cluster.trials.values())
    assert best is not None
    # the curves do not cross, so that the best of all cannot be stopped
    assert best.index == min(cluster.trials.values(), key=lambda t: branin(t.parameters)).index
    assert best.state is REPORTED


def test_the_incumbent_is_not_who_is_merely_further() -> None:
    ahead = trial(0, RUNNING, {1: 5.0, 3: 4.0})
    at_one = trial(1, STOPPED, {1: 6.0})
    asked = study()
    assert incumbent(asked, [ahead]) is None
    assert incumbent(asked, [ahead, at_one]) == ahead
    assert incumbent(asked, [ahead, at_one, trial(2, STOPPED, {1: 2.0})]) == trial(2, STOPPED, {1: 2.0})
    assert incumbent(asked, [ahead, trial(2, STOPPED, {1: 2.0, 3: 4.5})]) == ahead
