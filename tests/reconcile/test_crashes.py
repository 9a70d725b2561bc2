"""A process that dies between any two actions, and Pods that are lost in every way: nothing lost, nothing doubled."""

from __future__ import annotations

import copy
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings

from reconcile.simulation import SimulatedCluster, performed_in_part
from reconcile.studies import (
    ALGORITHMS,
    SEEDS,
    assert_ended,
    made,
    undisturbed,
)

# --- crashes


@pytest.mark.parametrize(("name", "trials"), [("Sobol", 8), ("Hyperband", 12), ("GP", 7)])
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_dying_between_any_two_actions_changes_nothing(name: str, trials: int, seed: int) -> None:
    cluster = SimulatedCluster(made(trials, 1, ALGORITHMS[name]))
    performed_in_part(cluster, random.Random(seed))
    assert cluster.results() == undisturbed(name, trials, 1)
    assert_ended(cluster, "TrialsCompleted")
    assert len(cluster.created_pods) == len(set(cluster.created_pods))


@pytest.mark.parametrize("name", ["Sobol", "Hyperband"])
@pytest.mark.parametrize("parallelism", [4, 16])
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_dying_at_any_parallelism_loses_and_doubles_nothing(name: str, parallelism: int, seed: int) -> None:
    cluster = SimulatedCluster(made(18, parallelism, ALGORITHMS[name]))
    performed_in_part(cluster, random.Random(seed))
    assert_ended(cluster, "TrialsCompleted")
    assert sorted(cluster.results()) == list(range(18))
    assert cluster.most_alive <= parallelism
    assert len(cluster.created_pods) == sum(len(m) for _, m, _ in cluster.results().values())


def test_dying_before_each_single_action() -> None:
    """Exhaustive where the random one is not: at every decision of a study, after every number of actions."""
    cluster = SimulatedCluster(made(4, 1))
    going = True
    while going:
        decision = cluster.decide()
        for cut in range(len(decision.actions)):
            branch = copy.deepcopy(cluster)
            branch.perform(*decision.actions[:cut])
            branch.run()
            assert branch.results() == undisturbed("Sobol", 4, 1)
        cluster.perform(*decision.actions)
        going = bool(decision.actions) or cluster.advance(decision.wake_at)


@pytest.mark.parametrize("name", ["Sobol", "Hyperband"])
def test_performing_everything_twice_changes_nothing(name: str) -> None:
    cluster = SimulatedCluster(made(8, 1, ALGORITHMS[name]))
    going = True
    while going:
        decision = cluster.decide()
        cluster.perform(*decision.actions, *decision.actions)
        going = bool(decision.actions) or cluster.advance(decision.wake_at)
    assert cluster.results() == undisturbed(name, 8, 1)


# --- what can happen to Pods and objects

DISTURBANCES = ("interrupt", "evict", "lose")


@pytest.mark.parametrize("name", ["Sobol", "Hyperband"])
@settings(max_examples=6, deadline=None)
@given(seed=SEEDS)
def test_lost_pods_cost_time_and_nothing_else(name: str, seed: int) -> None:
    cluster = SimulatedCluster(made(8, 1, ALGORITHMS[name]))
    chance, disturbed, going = random.Random(seed), 0, True
    while going:
        decision = cluster.settle()
        cluster.start_pods()
        cluster.settle()
        for pod in cluster.running():
            if disturbed < 12 and chance.random() < 0.4:
                getattr(cluster, chance.choice(DISTURBANCES))(pod)
                disturbed += 1
        going = cluster.advance(cluster.settle().wake_at) or bool(decision.actions)
    assert cluster.results() == undisturbed(name, 8, 1)
    assert_ended(cluster, "TrialsCompleted")
    assert sum(t["status"].get("interruptions", 0) for t in cluster.trials.values()) == disturbed
    assert cluster.status["trials"]["failed"] == 0


@pytest.mark.parametrize("parallelism", [1, 3])
def test_a_trial_deleted_by_hand_is_done_again(parallelism: int) -> None:
    cluster = SimulatedCluster(made(6, parallelism))
    for _ in range(3):
        cluster.step()
    cluster.settle()
    gone = [sorted(cluster.trials)[0], sorted(cluster.trials)[-1]]  # one that was measured, one that runs
    for name in gone:
        cluster.delete_trial(name)
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert sorted(cluster.results()) == list(range(6))
    assert cluster.most_alive <= parallelism


def test_a_pod_that_never_lives_ends_its_study_in_the_end() -> None:
    cluster = SimulatedCluster(made(1, 1))
    for _ in range(200):
        cluster.settle()
        cluster.start_pods()
        for name in cluster.running():
            cluster.evict(name)
        decision = cluster.settle()
        if decision.wake_at is None:
            break
        cluster.now = decision.wake_at
    assert_ended(cluster, "NoMeasurements", success=False)
    [trial] = cluster.trials.values()
    assert trial["status"]["reason"] == "TooManyInterruptions"
    assert len(cluster.created_pods) == 51
    assert (cluster.now - SimulatedCluster(made()).now) > timedelta(hours=3)  # it was patient
