"""``decide`` over whole studies in a simulated cluster: it settles, loses nothing, doubles nothing, and ends."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_operator.reconcile.actions import CreatePod, PutStudyStatus, PutTrialStatus, RecordEvent
from hpo_operator.reconcile.decide import decide
from reconcile.objects import SETTINGS, measured, study, trial
from reconcile.simulation import Raw, Run, SimulatedCluster, Train, dice, performed_in_part

SOBOL: Raw = {"algorithm": {"sampler": {"type": "Sobol"}}}
GP: Raw = {"algorithm": {"sampler": {"type": "GP", "initialTrials": 4}}}
HYPERBAND: Raw = {
    "algorithm": {"sampler": {"type": "Sobol"}, "scheduler": {"type": "Hyperband"}},
    "fidelity": {"resource": "epochs", "min": 1, "max": 9, "eta": 3},
}
ALGORITHMS = {"Sobol": SOBOL, "GP": GP, "Hyperband": HYPERBAND}
SEEDS = st.integers(0, 2**32)
CONDITIONS = ["Accepted", "Progressing", "Finished", "Succeeded"]


def made(trials: int = 6, parallelism: int = 1, algorithm: Raw = SOBOL, **budget: Any) -> Raw:
    return study(**algorithm, budget={"trials": trials, "parallelism": parallelism} | budget)


def ran(raw: Raw, train: Train = dice) -> SimulatedCluster:
    cluster = SimulatedCluster(raw, train)
    cluster.run()
    return cluster


def conditions(cluster: SimulatedCluster) -> dict[str, str]:
    """Status by type; every one must be judged on the present spec."""
    for entry in cluster.status["conditions"]:
        assert entry["observedGeneration"] == cluster.study["metadata"]["generation"]
    assert cluster.status["observedGeneration"] == cluster.study["metadata"]["generation"]
    assert [entry["type"] for entry in cluster.status["conditions"]] == CONDITIONS
    return {entry["type"]: entry["status"] for entry in cluster.status["conditions"]}


def assert_ended(cluster: SimulatedCluster, reason: str, success: bool = True) -> None:
    assert cluster.status["reason"] == reason, cluster.status["message"]
    assert cluster.status["phase"] == ("Succeeded" if success else "Failed")
    assert conditions(cluster) == {
        "Accepted": "True",
        "Progressing": "False",
        "Finished": "True",
        "Succeeded": str(success),
    }
    assert cluster.status["completionTime"]
    assert not cluster.alive()
    for made_trial in cluster.trials.values():
        state = {c["type"]: c["status"] for c in made_trial["status"]["conditions"]}
        assert state["Finished"] == "True", made_trial["status"]
        assert state["Succeeded"] == str(made_trial["status"]["phase"] == "Succeeded")
        assert made_trial["status"]["observedGeneration"] == made_trial["metadata"]["generation"]


def event_reasons(cluster: SimulatedCluster) -> list[str]:
    return [event.reason for event in cluster.events]


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


def test_time_alone_changes_nothing_while_no_gpu_is_used() -> None:
    raw = made(4, 2)
    raw["spec"]["trainer"]["resources"] = {}
    cluster = SimulatedCluster(raw)
    cluster.step()
    cluster.settle()
    cluster.now += timedelta(hours=5)
    assert cluster.decide().actions == ()


# --- crashes


@cache
def undisturbed(name: str, trials: int, parallelism: int) -> dict[int, tuple[Any, ...]]:
    return ran(made(trials, parallelism, ALGORITHMS[name])).results()


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
    from hpo_operator.reconcile.snapshot import Sample

    going = True
    while going:
        cluster.settle()
        cluster.start_pods()
        cluster.samples = {name: Sample(0.5 + 0.1 * len(cluster.created_pods), 7) for name in cluster.running()}
        going = cluster.advance(cluster.settle().wake_at)
    assert_ended(cluster, "TrialsCompleted")
    assert {t["status"]["measurements"][0]["source"] for t in cluster.trials.values()} == {"MetricsEndpoint"}
    assert cluster.status["best"]["value"] == pytest.approx(0.8)


# --- budgets


def failing(_: dict[str, Any], __: int) -> Run:
    return Run("", code=1)


def test_failed_trials_end_the_study() -> None:
    cluster = ran(made(20, 4, failedTrials=2), failing)
    assert_ended(cluster, "TooManyFailures", success=False)
    assert cluster.status["trials"]["failed"] == 4  # those four had begun
    assert "4 trials failed, more than 2" in cluster.status["message"]
    assert cluster.status["message"].endswith("demo-3: Error")


def test_no_measurement_at_all() -> None:
    cluster = ran(made(3, 1, failedTrials=3), failing)
    assert_ended(cluster, "NoMeasurements", success=False)


def test_gpu_hours_end_the_study_and_count_every_attempt_once() -> None:
    def slow(parameters: dict[str, Any], resource: int) -> Run:
        return replace(dice(parameters, resource), seconds=1800.0)

    cluster = ran(made(50, 2, gpuHours=4.5), slow)  # two Pods of two GPUs: two GPU-hours an hour
    assert_ended(cluster, "GPUHoursExhausted")
    assert cluster.status["gpuHours"] == pytest.approx(6.0)
    assert cluster.status["gpuHours"] == pytest.approx(
        sum(t["status"].get("gpuSeconds", 0) for t in cluster.trials.values()) / 3600
    )


def test_gpu_hours_stop_what_runs() -> None:
    cluster = SimulatedCluster(made(50, 2, gpuHours=1.0), lambda p, r: replace(dice(p, r), seconds=7200.0))
    cluster.settle()
    cluster.start_pods()
    cluster.now += timedelta(minutes=20)
    assert cluster.settle().training == tuple(cluster.running())
    cluster.now += timedelta(minutes=20)  # 2 Pods, 2 GPUs, 40 minutes
    cluster.run()
    assert_ended(cluster, "GPUHoursExhausted", success=False)
    assert cluster.status["trials"]["stopped"] == 2
    assert cluster.status["gpuHours"] == pytest.approx(4 * 40 / 60, abs=0.01)
    assert "and no trial was measured" in cluster.status["message"]


def test_wall_clock_ends_the_study_in_time() -> None:
    cluster = ran(made(50, 2, wallClock="10m"), lambda p, r: replace(dice(p, r), seconds=130.0))
    assert_ended(cluster, "WallClockExhausted")
    assert cluster.now - SimulatedCluster(made()).now == timedelta(seconds=600 + 2)  # two for a checkpoint
    assert cluster.status["trials"]["succeeded"] == 8
    assert cluster.status["trials"]["stopped"] == 2


def test_the_target_ends_the_study() -> None:
    raw = made(200, 4)
    raw["spec"]["objective"]["target"] = 0.6
    cluster = ran(raw)
    assert_ended(cluster, "TargetReached")
    assert cluster.status["best"]["value"] >= 0.6
    assert len(cluster.trials) < 200


def test_an_interrupted_trial_that_waits_is_stopped_with_its_study() -> None:
    cluster = SimulatedCluster(made(4, 1, wallClock="1h"))
    cluster.settle()
    cluster.start_pods()
    cluster.interrupt(cluster.running()[0])
    cluster.settle()
    cluster.now += timedelta(hours=1)
    cluster.run()
    assert_ended(cluster, "WallClockExhausted", success=False)
    assert len(cluster.created_pods) == 1


# --- edits


def test_parallelism_may_be_raised_and_lowered() -> None:
    cluster = SimulatedCluster(made(30, 2))
    cluster.step()
    cluster.settle()
    assert len(cluster.alive()) == 2
    cluster.edit_budget(parallelism=6)
    cluster.settle()
    assert len(cluster.alive()) == 6
    cluster.edit_budget(parallelism=1)
    cluster.settle()
    assert len(cluster.alive()) == 6  # what runs is not stopped
    while len(cluster.alive()) > 1:
        before = len(cluster.alive())
        cluster.step()
        cluster.settle()
        assert len(cluster.alive()) <= max(1, before)
    cluster.most_alive = 0
    cluster.run()
    assert cluster.most_alive == 1
    assert_ended(cluster, "TrialsCompleted")


@pytest.mark.parametrize("name", ["Sobol", "GP"])
def test_more_trials_after_the_end_go_on_as_if_they_had_been_asked_for_at_once(name: str) -> None:
    cluster = ran(made(5, 1, ALGORITHMS[name]))
    assert_ended(cluster, "TrialsCompleted")
    cluster.edit_budget(trials=7)
    cluster.settle()
    assert conditions(cluster)["Finished"] == "False"
    assert "completionTime" not in cluster.status
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert cluster.results() == undisturbed(name, 7, 1)


def test_more_trials_after_hyperbands_end_are_measured() -> None:
    cluster = ran(made(5, 2, HYPERBAND))
    cluster.edit_budget(trials=22)
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert len(cluster.results()) == 22


def test_a_raised_limit_goes_on() -> None:
    cluster = ran(made(8, 1, failedTrials=0), failing)
    assert_ended(cluster, "TooManyFailures", success=False)
    cluster.train = dice
    cluster.edit_budget(failedTrials=5)
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert cluster.status["trials"]["succeeded"] == 7


def test_a_changed_immutable_section_is_refused_once_and_reverting_goes_on() -> None:
    cluster = SimulatedCluster(made(4, 1))
    cluster.step()
    cluster.settle()
    seen, before = len(cluster.events), cluster.status
    objective = cluster.study["spec"]["objective"]
    cluster.edit(objective=objective | {"metric": "loss"})
    decision = cluster.decide()
    assert [type(action) for action in decision.actions] == [RecordEvent, PutStudyStatus]
    cluster.perform(*decision.actions)
    assert conditions(cluster)["Accepted"] == "False"
    assert cluster.status["reason"] == "ImmutableFieldChanged"
    assert cluster.status["message"].startswith("spec.objective: may not change")
    assert cluster.status["trials"] == before["trials"]
    cluster.now += timedelta(hours=1)
    assert cluster.decide().actions == ()
    cluster.edit(objective=objective)
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert cluster.results() == undisturbed("Sobol", 4, 1)
    assert event_reasons(cluster)[seen : seen + 2] == ["ImmutableFieldChanged", "Accepted"]


@pytest.mark.parametrize("section", ["parameters", "algorithm", "fidelity", "seed", "trainer"])
def test_every_section_that_decides_a_suggestion_is_immutable(section: str) -> None:
    changed: Raw = {
        "parameters": [{"name": "learningRate", "float": {"min": 1e-5, "max": 0.1, "scale": "Log"}}],
        "algorithm": {"sampler": {"type": "Random"}},
        "fidelity": {"resource": "epochs", "max": 9},
        "seed": 7,
        "trainer": {"segmentation": {}, "data": {"claimName": "other"}},
    }
    cluster = SimulatedCluster(made(4, 1))
    cluster.settle()
    cluster.edit(**{section: changed[section]})
    cluster.settle()
    assert cluster.status["reason"] == "ImmutableFieldChanged"
    assert cluster.status["message"].startswith(f"spec.{section}: ")


def test_a_default_written_out_is_no_change() -> None:
    cluster = SimulatedCluster(made(4, 1))
    cluster.settle()
    cluster.edit(seed=0, algorithm={"sampler": {"type": "Sobol"}, "scheduler": {"type": "None"}})
    cluster.settle()
    assert conditions(cluster)["Accepted"] == "True"


def test_an_invalid_spec_is_told_once() -> None:
    raw = made(4, 1)
    raw["spec"]["parameters"][0]["float"]["min"] = 5
    cluster = SimulatedCluster(raw)
    decision = cluster.decide()
    assert [type(action) for action in decision.actions] == [RecordEvent, PutStudyStatus]
    cluster.perform(*decision.actions)
    cluster.now += timedelta(hours=1)
    assert cluster.decide().actions == ()
    assert conditions(cluster) == {
        "Accepted": "False",
        "Progressing": "False",
        "Finished": "False",
        "Succeeded": "False",
    }
    assert cluster.status["phase"] == "Invalid"
    assert "spec.parameters[0].float.min: expected min < max, found min 5 and max 0.1" in cluster.status["message"]
    cluster.edit(parameters=made()["spec"]["parameters"])
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")


# --- objects that somebody else has written


def hand_edits() -> Iterator[tuple[str, Raw, str]]:
    yield "a parameter that is none", {"parameters": {"momentum": "0.9"}}, "spec.parameters.momentum"
    yield "text for a number", {"parameters": {"learningRate": "fast", "depth": "3"}}, "spec.parameters.learningRate"
    yield "a negative resource", {"resource": -1}, "spec.resource"
    yield "an unknown field", {"speed": 3}, "spec.speed"
    yield "another number", {"index": 7}, "spec.index"
    yield "a number that is taken", {"index": 1}, "spec.index"


@pytest.mark.parametrize(("changes", "path"), [row[1:] for row in hand_edits()], ids=[row[0] for row in hand_edits()])
def test_a_trial_that_cannot_be_read_holds_the_study_until_it_is_gone(changes: Raw, path: str) -> None:
    cluster = SimulatedCluster(made(6, 1))
    for _ in range(3):
        cluster.step()
    cluster.settle()
    cluster.trials["demo-0"]["spec"] |= changes
    cluster.settle()
    assert conditions(cluster) == {
        "Accepted": "True",
        "Progressing": "False",
        "Finished": "False",
        "Succeeded": "Unknown",
    }
    assert cluster.status["reason"] == "UnreadableTrial"
    assert cluster.status["message"].startswith(f"hpotrial/demo-0: {path}")
    assert event_reasons(cluster).count("UnreadableTrial") == 1
    cluster.run()
    assert len(cluster.trials) < 6
    cluster.delete_trial("demo-0")
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert {i: r[0] for i, r in cluster.results().items()} == {i: r[0] for i, r in undisturbed("Sobol", 6, 1).items()}


def test_a_trial_that_somebody_added_counts_and_the_rest_goes_on() -> None:
    cluster = SimulatedCluster(made(4, 1))
    cluster.settle()
    mine = copy.deepcopy(cluster.trials["demo-0"])
    mine["metadata"] |= {"name": "demo-2", "uid": "by-hand"}
    mine["spec"] |= {"index": 2, "parameters": {"learningRate": "0.01", "depth": "3"}}
    mine.pop("status", None)
    cluster.trials["demo-2"] = mine
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert cluster.status["best"]["trial"] == "demo-2"
    assert cluster.status["best"]["value"] == 1.0


def test_a_status_of_an_unknown_version_is_folded_anew() -> None:
    cluster = SimulatedCluster(made(4, 1))
    for _ in range(2):
        cluster.step()
    cluster.settle()
    known = cluster.status
    cluster.study["status"] = known | {"phase": "Dreaming", "forecast": {"best": 3}}
    cluster.settle()
    assert {k: v for k, v in cluster.status.items() if k != "startTime"} | {"conditions": []} == {
        k: v for k, v in known.items() if k != "startTime"
    } | {"conditions": []}
    cluster.run()
    assert cluster.results() == undisturbed("Sobol", 4, 1)


def test_a_trials_status_of_an_unknown_version_holds_the_study() -> None:
    """What was measured may not be thrown away by an older operator."""
    cluster = SimulatedCluster(made(4, 1))
    for _ in range(2):
        cluster.step()
    cluster.settle()
    before = copy.deepcopy(cluster.trials["demo-0"]["status"])
    cluster.trials["demo-0"]["status"]["embedding"] = [1, 2]
    cluster.run()
    assert cluster.status["reason"] == "UnreadableTrial"
    assert "hpotrial/demo-0: status.embedding" in cluster.status["message"]
    assert cluster.trials["demo-0"]["status"] == before | {"embedding": [1, 2]}
    cluster.trials["demo-0"]["status"] = before
    cluster.run()
    assert cluster.results() == undisturbed("Sobol", 4, 1)


# --- refusals


@pytest.mark.parametrize("message", ["exceeded quota: gpus", "Pod is invalid: " + "x" * 5000])
def test_a_refused_pod_is_told_once_and_not_asked_for_again(message: str) -> None:
    cluster = SimulatedCluster(made(4, 1))
    first = cluster.decide()
    cluster.perform(*first.actions)  # the trial
    cluster.refusals = {"demo-0-r0-a0": message}
    cluster.settle()
    assert cluster.created_pods == []
    assert cluster.status["reason"] == "PodRefused"
    assert cluster.status["message"].startswith(message[:200])
    assert event_reasons(cluster).count("PodRefused") == 1
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
