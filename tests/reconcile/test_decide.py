"""``decide`` over whole studies in a simulated cluster: every trial once, settled, pure, small, its end told."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings

from hpo_engine.memory import Memory
from hpo_operator.reconcile.actions import CreatePod, PutStudyStatus, PutTrialStatus, RecordEvent
from hpo_operator.reconcile.decide import decide
from hpo_operator.reconcile.snapshot import Sample
from reconcile.disturbed import disturbed
from reconcile.objects import SETTINGS, measured, trial
from reconcile.simulation import Raw, Run, SimulatedCluster, dice
from reconcile.studies import (
    ALGORITHMS,
    GP,
    HYPERBAND,
    SEEDS,
    assert_ended,
    conditions,
    event_reasons,
    made,
    ran,
)

# --- a study runs to its end


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=list(ALGORITHMS))
@pytest.mark.parametrize("parallelism", [1, 4, 16])
def test_every_trial_is_measured_once_and_never_more_run_than_allowed(algorithm: Raw, parallelism: int) -> None:
    trials = 8 if algorithm is GP else 22
    cluster = ran(made(trials, parallelism, algorithm))
    assert_ended(cluster, "TrialsCompleted")
    assert sorted(cluster.results()) == list(range(trials))
    assert cluster.most_alive <= parallelism
    assert cluster.most_alive == min(parallelism, trials)
    assert len(cluster.created_pods) == len(set(cluster.created_pods))
    rungs = sum(len(measurements) for _, measurements, _ in cluster.results().values())
    assert len(cluster.created_pods) == rungs
    assert cluster.status["trials"] == counted(cluster)
    best = max(value for _, measurements, _ in cluster.results().values() for _, value in measurements[-1:])
    assert cluster.status["best"]["value"] == pytest.approx(best, rel=1e-5)


def counted(cluster: SimulatedCluster) -> dict[str, int]:
    phases = [trial["status"]["phase"].lower() for trial in cluster.trials.values()]
    states = ("pending", "running", "waiting", "succeeded", "failed", "stopped")
    return {"total": len(phases)} | {state: phases.count(state) for state in states}


def test_hyperband_promotes_the_best_from_their_rungs() -> None:
    cluster = ran(made(22, 4, HYPERBAND))
    reached = [trial["spec"]["resource"] for trial in cluster.trials.values()]
    assert sorted(set(reached)) == [1, 3, 9]
    promoted = [t for t in cluster.trials.values() if t["spec"].get("rung", 0) > 0]
    assert promoted
    for made_trial in promoted:
        found = [m["resource"] for m in made_trial["status"]["measurements"]]
        assert found == sorted(set(found))
        assert len(found) == made_trial["spec"]["rung"] + 1
    left = [t for t in cluster.trials.values() if t["spec"]["resource"] < 9]
    assert {t["status"]["reason"] for t in left} == {"NotPromoted"}


# --- purity


@cache
def under_way(name: str) -> SimulatedCluster:
    """A study in the midst: measured, running, pending and failed trials."""

    def train(parameters: dict[str, Any], resource: int) -> Run:
        return replace(dice(parameters, resource), code=81) if parameters["depth"] == 4 else dice(parameters, resource)

    cluster = SimulatedCluster(made(12, 4, ALGORITHMS[name]), train)
    for _ in range(4):
        cluster.step()
    cluster.settle()
    cluster.start_pods()
    cluster.interrupt(cluster.running()[0])
    assert len(cluster.running()) > 1
    return cluster


@pytest.mark.parametrize("name", list(ALGORITHMS))
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_the_order_of_objects_means_nothing(name: str, seed: int) -> None:
    cluster, order = under_way(name), random.Random(seed)
    trials, pods = list(cluster.trials.values()), list(cluster.pods.values())
    order.shuffle(trials)
    order.shuffle(pods)
    snapshot = replace(cluster.snapshot(), trials=tuple(trials), pods=tuple(pods))
    assert decide(snapshot, SETTINGS, cluster.now) == cluster.decide()


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_deciding_changes_nothing_that_it_is_given(name: str) -> None:
    cluster = under_way(name)
    before = copy.deepcopy(cluster.snapshot())
    assert cluster.decide() == cluster.decide()
    assert cluster.snapshot() == before


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=list(ALGORITHMS))
def test_after_performing_there_is_nothing_left_to_do(algorithm: Raw) -> None:
    cluster = SimulatedCluster(made(9, 3, algorithm))
    going = True
    while going:
        first = cluster.decide()
        cluster.perform(*first.actions)
        cluster.settle()
        later = cluster.now + timedelta(microseconds=1)
        assert decide(cluster.snapshot(), SETTINGS, later).actions == ()
        going = cluster.advance(cluster.settle().wake_at)


@pytest.mark.parametrize(
    ("sampler", "scheduler"), [("GP", "Hyperband"), ("TPE", "ASHA"), ("Random", "ASHAStopping"), ("GP", "FreezeThaw")]
)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_remembered_changes_no_decision(sampler: str, scheduler: str, seed: int) -> None:
    memory = Memory()
    disturbed(sampler, scheduler, seed, memory=memory)
    assert memory.last("places")  # it was used


def test_time_alone_changes_nothing_while_no_gpu_is_used() -> None:
    raw = made(4, 2)
    raw["spec"]["trainer"]["resources"] = {}
    cluster = SimulatedCluster(raw)
    cluster.step()
    cluster.settle()
    cluster.now += timedelta(hours=5)
    assert cluster.decide().actions == ()


# --- what trainers report


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (measured("NaN"), "InvalidMeasurement"),
        (measured(0.5, "loss"), "MetricMissing"),
        ("", "MetricMissing"),
        ('{"hpo": "failure", "reason": "Diverged", "message": "loss is NaN"}', "Diverged"),
    ],
)
def test_an_unusable_measurement_fails_the_trial_and_the_study_goes_on(message: str, reason: str) -> None:
    def train(parameters: dict[str, Any], resource: int) -> Run:
        return Run(message) if parameters["depth"] == 3 else dice(parameters, resource)

    cluster = ran(made(8, 2), train)
    assert_ended(cluster, "TrialsCompleted")
    failed = [t["status"]["failure"]["reason"] for t in cluster.trials.values() if t["status"]["phase"] == "Failed"]
    assert failed
    assert set(failed) == {reason}
    assert event_reasons(cluster).count("TrialFailed") == len(failed) == cluster.status["trials"]["failed"]


def test_a_sampled_study_without_final_messages() -> None:
    cluster = SimulatedCluster(made(3, 1), lambda p, r: Run(""))

    going = True
    while going:
        cluster.settle()
        cluster.start_pods()
        cluster.samples = {name: Sample(0.5 + 0.1 * len(cluster.created_pods), 7) for name in cluster.running()}
        going = cluster.advance(cluster.settle().wake_at)
    assert_ended(cluster, "TrialsCompleted")
    assert {t["status"]["measurements"][0]["source"] for t in cluster.trials.values()} == {"MetricsEndpoint"}
    assert cluster.status["best"]["value"] == pytest.approx(0.8)


# --- refusals


@pytest.mark.parametrize(
    ("message", "reason"), [("exceeded quota: gpus", "QuotaExceeded"), ("Pod is invalid: " + "x" * 5000, "PodRefused")]
)
def test_a_refused_pod_is_told_once_and_not_asked_for_again(message: str, reason: str) -> None:
    cluster = SimulatedCluster(made(4, 1))
    first = cluster.decide()
    cluster.perform(*first.actions)  # the trial
    cluster.refusals = {"demo-0-r0-a0": message}
    cluster.settle()
    assert cluster.created_pods == []
    assert cluster.status["reason"] == reason
    assert message[:200] in cluster.status["message"]
    assert conditions(cluster)["Progressing"] == "False"
    assert sorted(event_reasons(cluster)) == sorted(["Accepted", "PodRefused", reason])  # the trial's, and the study's
    cluster.refusals = {}
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")


# --- sizes


def test_the_status_of_a_study_of_a_thousand_trials_is_small() -> None:
    cluster = SimulatedCluster(made(1000, 100, HYPERBAND))
    curve = [{"resource": n, "value": 0.123456789012345} for n in range(1, 65)]
    measured_there = {"resource": 9, "value": 0.123456789012345, "source": "TerminationMessage"}
    for index in range(1000):
        rungs = [measured_there | {"rung": rung, "resource": 3**rung} for rung in range(3)]
        made_trial = trial(index, {"measurements": rungs, "curve": curve}, rung=2, resource=9)
        cluster.trials[f"demo-{index}"] = made_trial
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert len(json.dumps(cluster.status)) < 8 * 1024
    assert max(len(json.dumps(trial["status"])) for trial in cluster.trials.values()) < 8 * 1024


def test_the_status_stays_below_64_kib_whatever_goes_wrong() -> None:
    cluster = SimulatedCluster(made(300, 300))
    cluster.settle()
    for made_trial in cluster.trials.values():
        made_trial["spec"]["ü" * 60] = "ä" * 500
    cluster.settle()
    assert cluster.status["reason"] == "UnreadableTrial"
    assert len(json.dumps(cluster.status, ensure_ascii=False).encode()) < 64 * 1024


def test_a_decision_that_only_folds_names_no_pod() -> None:
    cluster = ran(made(3, 1))
    assert cluster.decide().actions == ()
    cluster.study["status"] = {}
    assert {type(action) for action in cluster.decide().actions} <= {PutStudyStatus, PutTrialStatus, RecordEvent}
    assert not [action for action in cluster.decide().actions if isinstance(action, CreatePod)]
