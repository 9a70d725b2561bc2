"""Rules of ``plan`` that hold whatever the sampler: targets, budgets, resources, the incumbent."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from engine.studies import BRANIN, MIXED, Cluster, branin, learning_curve, make_study
from hpo_engine.errors import StudyError
from hpo_engine.incumbent import incumbent, loss_at
from hpo_engine.planner import Plan, plan
from hpo_engine.seeding import Purpose, rng, trial_seed
from hpo_engine.study import Acquisition, Fidelity, Objective
from hpo_engine.trial import Measurement, Trial, TrialState

LOSS = make_study(BRANIN).objective
DICE = Objective("dice", maximize=True)


def trial(index: int, *values: tuple[int, float], state: TrialState = TrialState.REPORTED) -> Trial:
    measurements = tuple(Measurement(resource, value) for resource, value in values)
    return Trial(index, {"x": float(index), "y": 0.0}, state, measurements=measurements)


def best_index(trials: list[Trial], maximize: bool = False) -> int | None:
    best = incumbent(make_study(BRANIN, maximize=maximize), trials)
    return None if best is None else best.index


def test_incumbent_follows_the_direction() -> None:
    trials = [trial(0, (0, 0.5)), trial(1, (0, 0.9)), trial(2, (0, 0.1))]
    assert best_index(trials) == 2
    assert best_index(trials, maximize=True) == 1


def test_incumbent_is_compared_at_the_highest_resource_only() -> None:
    trials = [trial(0, (1, 0.01)), trial(1, (1, 0.9), (3, 0.5)), trial(2, (1, 0.8), (3, 0.6))]
    assert best_index(trials) == 1


def test_incumbent_of_a_tie_is_the_first() -> None:
    assert best_index([trial(7, (0, 0.5)), trial(3, (0, 0.5)), trial(5, (0, 0.5))]) == 3


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("maximize", [False, True])
def test_no_number_never_wins(odd: float, maximize: bool) -> None:
    assert best_index([trial(0, (0, odd)), trial(1, (0, 123.0))], maximize) == 1
    assert best_index([trial(0, (0, odd))], maximize) is None
    assert best_index([trial(0, (1, 2.0), (3, odd)), trial(1, (1, 1.0))], maximize) == (0 if maximize else 1)
    assert loss_at(DICE, trial(0, (0, odd)), 0) == math.inf
    assert loss_at(DICE, trial(0, (0, odd)), 1) is None


def test_failed_trials_are_no_incumbents_and_stopped_ones_may_be() -> None:
    failed, stopped = trial(0, (1, 0.1), state=TrialState.FAILED), trial(1, (1, 0.2), state=TrialState.STOPPED)
    assert best_index([failed, stopped, trial(2, (1, 0.3))]) == 1
    assert best_index([failed]) is None


def test_reaching_the_target_stops_what_runs_and_then_is_done() -> None:
    study = make_study(BRANIN, "Random", trials=10, maximize=True, target=0.9)
    trials = [trial(0, (0, 0.95)), trial(1, state=TrialState.RUNNING), trial(2, (0, 0.2))]
    assert plan(study, trials, 5) == Plan(stop=(1,), notes=("trial 0 reached the target",))
    trials[1] = replace(trials[1], state=TrialState.STOPPED)
    assert plan(study, trials, 5) == Plan(done=True, notes=("trial 0 reached the target",))
    missed = [trial(0, (0, 0.89))]
    assert len(plan(study, missed, 5).start) == 5


def test_a_target_met_with_little_training_waits_for_the_comparison() -> None:
    study = make_study(BRANIN, "Random", "Hyperband", trials=9, target=0.5)
    reached = trial(0, (1, 0.4))
    assert plan(study, [reached], 1).done
    assert not plan(study, [reached, trial(1, (1, 2.0), (3, 1.0))], 1).done


def test_a_study_without_scheduler_trains_to_the_maximum() -> None:
    assert {s.resource for s in plan(make_study(BRANIN, "Random"), (), 3).start} == {0}
    study = make_study(BRANIN, "Random", fidelity=Fidelity("epochs", 2, 30))
    assert {s.resource for s in plan(study, (), 3).start} == {30}


def test_done_waits_for_the_last_running_trial() -> None:
    study = make_study(BRANIN, "Random", trials=2)
    running = trial(1, state=TrialState.RUNNING)
    assert plan(study, [trial(0, (0, 1.0)), running], 5) == Plan()
    assert plan(study, [trial(0, (0, 1.0)), trial(1, (0, 2.0))], 5) == Plan(done=True)
    assert not plan(study, [trial(0, (0, 1.0))], 0).done


def test_a_raised_budget_begins_again() -> None:
    cluster = Cluster(make_study(MIXED, "GP", trials=5), lambda p, r: float(p["learningRate"])).run()
    cluster.study = replace(cluster.study, trials=7)
    assert [s.index for s in cluster.plan().start] == [5]


def test_negative_slots_start_nothing() -> None:
    assert plan(make_study(BRANIN), (), -3) == Plan()


def test_random_numbers_are_addressed() -> None:
    assert rng(1, Purpose.UNIFORM, 4).random() == rng(1, Purpose.UNIFORM, 4).random()
    draws = {rng(s, p, i).random() for s in (0, 1, 2**70) for p in Purpose for i in (0, 1)}
    assert len(draws) == 3 * len(Purpose) * 2
    assert all(0 <= trial_seed(5, i) < 2**31 for i in range(100))
    assert len({trial_seed(5, i) for i in range(100)}) == 100


def test_hyperband_needs_a_fidelity_with_two_rungs() -> None:
    with pytest.raises(StudyError, match="expected a fidelity"):
        replace(make_study(BRANIN), scheduler="Hyperband")
    with pytest.raises(StudyError) as caught:
        make_study(BRANIN, scheduler="Hyperband", fidelity=Fidelity("epochs", 4, 11))
    assert caught.value.field == "fidelity.max"


def test_rationale_tells_the_models_belief_in_the_users_units() -> None:
    cluster = Cluster(make_study(BRANIN, "GP", trials=16, maximize=True), branin).run()
    late = cluster.plans[-2].start[0].rationale
    assert late.origin == "GP"
    assert late.mean is not None and late.sigma is not None and late.acquisition is not None
    assert -310 < late.mean < 0 < late.sigma < 200
    assert cluster.plans[0].start[0].rationale.origin == "Sobol"


def test_expected_improvement_suggests_as_its_logarithm_does() -> None:
    study = make_study(BRANIN, "GP", trials=14)
    ei = replace(study, sampler=replace(study.sampler, acquisition="EI"))
    one, two = Cluster(study, branin).run(), Cluster(ei, branin).run()
    assert {i: t.parameters for i, t in one.trials.items()} == {i: t.parameters for i, t in two.trials.items()}
    first, second = (c.plans[-2].start[0].rationale.acquisition or 0.0 for c in (one, two))
    assert second == pytest.approx(math.exp(first))


@pytest.mark.parametrize("acquisition", ["PI", "UCB", "Thompson"])
def test_other_acquisition_functions_find_the_valley(acquisition: Acquisition) -> None:
    study = make_study(BRANIN, "GP", trials=24)
    study = replace(study, sampler=replace(study.sampler, acquisition=acquisition))
    cluster = Cluster(study, branin, 4).run_in_waves()
    assert cluster.best() < 1.0
    late = cluster.plans[-1].start[-1].rationale
    assert late.acquisition is not None
    assert acquisition != "PI" or 0 <= late.acquisition <= 1


def test_model_under_hyperband_uses_the_highest_resource_with_enough_trials() -> None:
    study = make_study(BRANIN, "GP", "Hyperband", trials=40)
    cluster = Cluster(study, learning_curve(branin), 4).run()
    origins = {s.index: s.rationale.origin for p in cluster.plans for s in p.start}
    assert [origins[i] for i in range(4)] == ["Sobol"] * 4
    assert all(origins[i] == "GP" for i in range(9, 40))
