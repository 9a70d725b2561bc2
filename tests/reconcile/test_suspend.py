"""Suspended studies hold no Pod, lose nothing, charge nobody, and go on as if nothing had happened."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from hpo_engine.trial import TrialState
from hpo_operator.reconcile.pod_facts import PodState
from reconcile.objects import ended, measured, pod, trial
from reconcile.simulation import Raw, Run, SimulatedCluster, dice
from reconcile.studies import ALGORITHMS, SEEDS, assert_ended, conditions, made, undisturbed
from reconcile.test_trial_state import RUNNING, SEEN, after, view

# --- a trial that is wanted Suspended, row by row

ROWS: dict[str, tuple[tuple[Raw, ...], TrialState, PodState | None]] = {
    "no Pod yet": ((), TrialState.RUNNING, None),
    "waiting": ((pod(phase="Pending"),), TrialState.RUNNING, PodState.WAITING),
    "running": ((RUNNING,), TrialState.RUNNING, PodState.RUNNING),
    "wrote its checkpoint": ((pod(terminated=ended(75), deleting=True),), TrialState.RUNNING, None),
    "killed": ((pod(terminated=ended(137), deleting=True),), TrialState.RUNNING, None),
    "finished first": ((pod(terminated=ended(0, measured(0.8))),), TrialState.REPORTED, PodState.SUCCEEDED),
    "failed by itself": ((pod(terminated=ended(81)),), TrialState.FAILED, PodState.FAILED),
}


@pytest.mark.parametrize(("pods", "state", "pod_state"), ROWS.values(), ids=list(ROWS))
def test_suspended(pods: tuple[Raw, ...], state: TrialState, pod_state: PodState | None) -> None:
    seen = view(trial(desiredState="Suspended"), *pods)
    assert seen.state is state
    assert (seen.pod.state if seen.pod else None) is pod_state
    assert seen.pod_due is None
    status = after(trial(desiredState="Suspended"), *pods)
    assert status.interruptions == 0


def test_the_next_attempt_is_another_pod_and_its_gpu_time_is_counted() -> None:
    status = after(trial(status=SEEN, desiredState="Suspended"))
    assert (status.attempt, status.interruptions, status.gpu_seconds) == (1, 0, 2 * 3600)
    assert (status.phase, status.reason) == ("Pending", "Suspended")


# --- a study


def suspended_midway(parallelism: int = 2, **budget: Any) -> SimulatedCluster:
    cluster = SimulatedCluster(made(6, parallelism, **budget))
    cluster.settle()
    cluster.start_pods()
    cluster.now += timedelta(seconds=5)
    cluster.edit(suspend=True)
    return cluster


def test_a_suspended_study_gives_its_pods_back_and_says_so() -> None:
    cluster = suspended_midway()
    cluster.settle()
    assert cluster.status["reason"] == "Suspending"
    assert cluster.status["message"] == "2 trials write their checkpoints"
    assert conditions(cluster)["Suspended"] == "False"
    cluster.advance()
    decision = cluster.settle()
    assert (decision.wake_at, decision.training, cluster.alive()) == (None, (), [])
    assert (cluster.status["phase"], cluster.status["reason"]) == ("Suspended", "Suspended")
    assert "2 trials go on from their checkpoints" in cluster.status["message"]
    assert conditions(cluster) == {
        "Accepted": "True", "Progressing": "False", "Suspended": "True", "Finished": "False", "Succeeded": "Unknown",
    }  # fmt: skip


def test_it_goes_on_with_the_same_trials() -> None:
    cluster = suspended_midway()
    cluster.run()
    begun = {name: t["spec"]["parameters"] for name, t in cluster.trials.items()}
    cluster.now += timedelta(days=3)
    cluster.edit(suspend=False)
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert {name: cluster.trials[name]["spec"]["parameters"] for name in begun} == begun
    assert all(t["status"].get("interruptions", 0) == 0 for t in cluster.trials.values())
    assert {t["spec"].get("desiredState", "Measured") for t in cluster.trials.values()} == {"Measured"}


def test_the_wall_clock_stands_meanwhile() -> None:
    cluster = SimulatedCluster(made(50, 2, wallClock="10m"), lambda p, r: replace(dice(p, r), seconds=130.0))
    cluster.settle()
    cluster.start_pods()
    cluster.now += timedelta(seconds=60)
    for _ in range(2):
        cluster.edit(suspend=True)
        cluster.run()
        cluster.now += timedelta(hours=5)
        cluster.edit(suspend=False)
        cluster.settle()
    began = cluster.now
    cluster.run()
    assert_ended(cluster, "WallClockExhausted")
    assert cluster.status["suspendedSeconds"] >= 2 * 5 * 3600
    assert timedelta(minutes=8) <= cluster.now - began <= timedelta(minutes=10)


def test_a_study_that_is_born_suspended_waits() -> None:
    raw = made(3)
    raw["spec"]["suspend"] = True
    cluster = SimulatedCluster(raw)
    cluster.run()
    assert (cluster.status["phase"], cluster.trials, cluster.pods) == ("Suspended", {}, {})
    cluster.edit(suspend=False)
    cluster.run()
    assert cluster.results() == undisturbed("Sobol", 3, 1)


def test_a_change_of_mind_while_checkpoints_are_written() -> None:
    """The Pods that were told to end do end, and nobody calls that an interruption."""
    cluster = suspended_midway()
    cluster.settle()
    assert all("deletionTimestamp" in cluster.pods[name]["metadata"] for name in cluster.running())
    cluster.edit(suspend=False)
    cluster.settle()
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert all(t["status"].get("interruptions", 0) == 0 for t in cluster.trials.values())
    assert cluster.most_alive == 2


def test_a_target_that_the_last_measurement_reached_ends_a_suspended_study() -> None:
    raw = made(6, 2)
    raw["spec"]["objective"]["target"] = 0.0
    cluster = SimulatedCluster(raw)
    cluster.settle()
    cluster.start_pods()
    first = cluster.next_end()
    assert first is not None
    cluster.now = first
    cluster.edit(suspend=True)
    cluster.end_pods()
    cluster.run()
    assert_ended(cluster, "TargetReached")


@pytest.mark.parametrize("name", ALGORITHMS)
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_at_any_instant_and_dying_between_any_two_actions(name: str, seed: int) -> None:
    """With one trial at a time the history is that of a study which nobody touched."""
    chance = random.Random(seed)
    cluster = SimulatedCluster(made(7, 1, ALGORITHMS[name]), dice)
    for _ in range(3000):
        if chance.random() < 0.05:
            cluster.edit(suspend=chance.random() < 0.5)
        decision = cluster.decide()
        if decision.actions:
            cluster.perform(*decision.actions[: chance.randint(0, len(decision.actions))])
        elif not cluster.advance(decision.wake_at):
            if not cluster.study["spec"].get("suspend"):
                break
            cluster.edit(suspend=False)
    assert cluster.results() == undisturbed(name, 7, 1)
    assert_ended(cluster, "TrialsCompleted")
    assert all(t["status"].get("interruptions", 0) == 0 for t in cluster.trials.values())
    assert cluster.most_alive == 1


def test_gpu_hours_go_on_from_what_was_used() -> None:
    def slow(parameters: dict[str, Any], resource: int) -> Run:
        return replace(dice(parameters, resource), seconds=3600.0)

    cluster = SimulatedCluster(made(50, 1, gpuHours=5.0), slow)  # one Pod of two GPUs
    cluster.settle()
    cluster.start_pods()
    cluster.now += timedelta(minutes=30)
    cluster.edit(suspend=True)
    cluster.run()
    assert cluster.status["gpuHours"] == pytest.approx(1.0, abs=0.01)
    cluster.now += timedelta(days=1)
    cluster.edit(suspend=False)
    cluster.run()
    assert_ended(cluster, "GPUHoursExhausted")
    assert cluster.status["gpuHours"] == pytest.approx(5.0, abs=0.01)
