"""Budgets that end a study, users who change it, and objects that somebody else has written."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hpo_operator.reconcile.actions import PutStudyStatus, RecordEvent
from reconcile.simulation import Raw, Run, SimulatedCluster, dice
from reconcile.studies import (
    ALGORITHMS,
    HYPERBAND,
    assert_ended,
    conditions,
    event_reasons,
    failing,
    made,
    ran,
    undisturbed,
)

# --- budgets


def test_failed_trials_end_the_study() -> None:
    cluster = ran(made(20, 4, failedTrials=2), failing)
    assert_ended(cluster, "TooManyFailures", success=False)
    assert cluster.status["trials"]["failed"] == 4  # those four had begun
    assert "4 trials failed, more than 2" in cluster.status["message"]
    assert cluster.status["message"].endswith("demo-3: Error")


def test_no_measurement_at_all() -> None:
    cluster = ran(made(3, 1, failedTrials=3), failing)
    assert_ended(cluster, "NoMeasurements", success=False)


def test_measurements_that_fulfil_no_constraint() -> None:
    raw = made(4, 2)
    raw["spec"]["constraints"] = [{"metric": "dice", "min": 2.0}]
    cluster = ran(raw)
    assert_ended(cluster, "NoFeasibleTrial", success=False)
    assert cluster.status["trials"]["succeeded"] == 4


def test_gpu_hours_end_the_study_and_count_every_attempt_once() -> None:
    def slow(parameters: dict[str, Any], resource: int) -> Run:
        return replace(dice(parameters, resource), seconds=1800.0)

    cluster = ran(made(50, 2, gpuHours=4.5), slow)  # two Pods of two GPUs: two GPU-hours an hour
    assert_ended(cluster, "GPUHoursExhausted")
    assert cluster.status["gpuHours"] == pytest.approx(4.5, abs=0.01)  # not at the next end of a Pod
    assert cluster.status["gpuHours"] == pytest.approx(
        sum(t["status"].get("gpuSeconds", 0) for t in cluster.trials.values()) / 3600, abs=0.005
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


def test_no_parallelism_lets_the_running_ones_finish_and_says_why_nothing_begins() -> None:
    cluster = SimulatedCluster(made(6, 2))
    cluster.settle()
    cluster.start_pods()
    cluster.edit_budget(parallelism=0)
    cluster.run()
    assert (cluster.status["trials"]["succeeded"], len(cluster.trials)) == (2, 2)
    assert cluster.status["reason"] == "NoParallelism"
    assert conditions(cluster)["Progressing"] == "False"
    assert event_reasons(cluster).count("NoParallelism") == 1
    cluster.edit_budget(parallelism=3)
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert cluster.results() == undisturbed("Sobol", 6, 2)
    cluster.edit_budget(parallelism=0)
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert event_reasons(cluster).count("NoParallelism") == 1


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
        "Suspended": "False",
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
        "Suspended": "False",
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
