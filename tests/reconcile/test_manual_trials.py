"""Trials that users make: the good ones train like any other, the bad ones are told why; no study waits for them."""

from __future__ import annotations

import copy
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from hpo_operator.api.engine_study import engine_study
from hpo_operator.api.parse import parse_study
from hpo_operator.reconcile.manual_trials import Stray
from hpo_operator.studies.study_file import read_study_files
from reconcile.objects import trial
from reconcile.simulation import Raw, SimulatedCluster, performed_in_part
from reconcile.studies import ALGORITHMS, HYPERBAND, SEEDS, SOBOL, assert_ended, event_reasons, made, ran

GOOD = {"learningRate": "0.02", "depth": "3"}


def manual(index: int, name: str | None = None, parameters: Any = None, **spec: Any) -> Raw:
    """A trial as a user writes it, with the label that it gets by its study's name."""
    raw = trial(index)
    del raw["metadata"]["ownerReferences"]
    raw["metadata"] |= {"name": name or f"demo-{index}", "labels": {"hpo.study/study": "demo"}}
    raw["spec"] |= {"parameters": copy.deepcopy(GOOD if parameters is None else parameters)} | spec
    return raw


def with_manual(study: Raw, *trials: Raw, after: int = 0) -> SimulatedCluster:
    """The study, to which the trials are added after so many steps."""
    cluster = SimulatedCluster(study)
    for _ in range(after):
        cluster.step()
    for raw in trials:
        cluster.trials.setdefault(raw["metadata"]["name"], copy.deepcopy(raw))
    return cluster


def first_resources(cluster: SimulatedCluster) -> dict[str, int]:
    return {name: t["status"]["measurements"][0]["resource"] for name, t in cluster.trials.items()}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_manual_trial_is_trained_and_counted_like_any_other(name: str) -> None:
    cluster = with_manual(made(9, 3, ALGORITHMS[name]), manual(8), after=1)
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    mine = cluster.trials["demo-8"]
    assert mine["spec"]["parameters"] == GOOD
    assert mine["metadata"]["ownerReferences"][0]["uid"] == "study-uid"
    assert mine["status"]["measurements"]
    assert cluster.status["trials"]["total"] == len(cluster.trials) == 9
    assert cluster.most_alive <= 3
    assert event_reasons(cluster).count("TrialAdopted") == 1


def test_the_scheduler_says_how_far_it_is_trained_first() -> None:
    cluster = with_manual(made(9, 1, HYPERBAND), manual(0), manual(8, resource=77))
    cluster.run()
    assert first_resources(cluster) == first_resources(ran(made(9, 1, HYPERBAND)))


def test_the_model_learns_from_it() -> None:
    best = manual(0, parameters={"learningRate": "0.01", "depth": "3"})
    cluster = with_manual(made(7, 1, ALGORITHMS["GP"]), best)
    cluster.run()
    assert cluster.status["best"]["trial"] == "demo-0"
    others = {n: t["spec"]["parameters"] for n, t in cluster.trials.items() if n != "demo-0"}
    alone = {n: t["spec"]["parameters"] for n, t in ran(made(7, 1, ALGORITHMS["GP"])).trials.items()}
    assert any(others[name] != alone[name] for name in others)


def test_manual_trials_wait_for_a_place_and_come_before_planned_ones() -> None:
    cluster = with_manual(made(6, 1), *(manual(i) for i in (3, 4, 5)))
    cluster.settle()
    reasons = {name: t["status"]["reason"] for name, t in cluster.trials.items() if "status" in t}
    assert reasons["demo-4"] == reasons["demo-5"] == "WaitingForPlace"
    assert set(cluster.trials) == {"demo-3", "demo-4", "demo-5"}
    cluster.run()
    assert cluster.most_alive == 1
    assert cluster.created_pods == [f"demo-{i}-r0-a0" for i in (3, 4, 5, 0, 1, 2)]


BAD: dict[str, tuple[Raw, str]] = {
    "unknown parameter": (
        manual(1, parameters=GOOD | {"moons": "7"}),
        "spec.parameters.moons: expected a parameter of the study, found an unknown name",
    ),
    "missing parameter": (
        manual(1, parameters={"depth": "3"}),
        "spec.parameters.learningRate: expected a value, found none",
    ),
    "out of bounds": (manual(1, parameters=GOOD | {"depth": "9"}), "spec.parameters.depth: "),
    "no number": (
        manual(1, parameters=GOOD | {"depth": "deep"}),
        'spec.parameters.depth: expected a number, found "deep"',
    ),
    "not a number": (manual(1, parameters=GOOD | {"learningRate": "nan"}), "spec.parameters.learningRate: "),
    "another study": (manual(1, study="other"), "spec.study: expected demo, the study of its label"),
    "beyond the budget": (
        manual(10**9),
        "spec.index: expected less than spec.budget.trials = 4 of the study, found 1000000000",
    ),
    "another name": (manual(1, name="mine"), "metadata.name: expected demo-1, which its study and its index make"),
    "a number with zeros": (manual(1, name="demo-01"), "metadata.name: expected demo-1"),
    "a later rung": (manual(1, rung=1, resource=9), "spec: expected no rung, steps or desiredState"),
    "stopped": (manual(1, desiredState="Stopped"), "spec: expected no rung, steps or desiredState"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_told_why_and_holds_up_nothing(name: str) -> None:
    raw, sentence = BAD[name]
    cluster = with_manual(made(4, 2), raw, after=0)
    cluster.run()
    status = cluster.trials[raw["metadata"]["name"]]["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Refused")
    assert status["message"].startswith(sentence)
    assert cluster.status["reason"] == "TrialsCompleted"
    left = 4 - (raw["metadata"]["name"] == "demo-1")
    assert (cluster.status["trials"]["total"], cluster.status["trials"]["succeeded"]) == (left, left)
    assert cluster.status["trials"]["failed"] == 0
    assert event_reasons(cluster).count("TrialRefused") == 1
    assert not [pod for pod in cluster.created_pods if pod.startswith(f"{raw['metadata']['name']}-r")]


def test_somebody_else_s_trial_is_left_to_them() -> None:
    raw = manual(3)
    raw["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "theirs", "uid": "1", "controller": True}]
    cluster = with_manual(made(4, 2), raw)
    cluster.run()
    assert "found Job/theirs" in cluster.trials["demo-3"]["status"]["message"]
    assert cluster.trials["demo-3"]["metadata"]["ownerReferences"][0]["kind"] == "Job"


def test_what_an_earlier_study_of_the_name_owned_is_not_touched() -> None:
    raw = manual(3)
    raw["metadata"]["ownerReferences"] = [{"kind": "HPOStudy", "name": "demo", "uid": "old", "controller": True}]
    cluster = with_manual(made(3, 1), raw)
    cluster.run()
    assert "status" not in cluster.trials["demo-3"]


def test_measurements_that_a_user_brings_along_do_not_count() -> None:
    invented = {"rung": 0, "resource": 0, "value": 99.0, "source": "TerminationMessage"}
    cluster = with_manual(made(4, 1), manual(3) | {"status": {"measurements": [invented]}})
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert cluster.status["best"]["value"] < 1
    assert "demo-3-r0-a0" in cluster.created_pods


def test_a_refused_trial_that_is_corrected_is_adopted() -> None:
    cluster = with_manual(made(4, 1), manual(3, parameters=GOOD | {"depth": "9"}))
    cluster.step()
    cluster.trials["demo-3"]["spec"]["parameters"] = GOOD
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert cluster.status["trials"]["succeeded"] == 4


def test_an_adoption_that_the_server_refuses_is_told_and_holds_up_nothing() -> None:
    cluster = with_manual(made(4, 1), manual(1))
    cluster.refusals["demo-1"] = "cannot set ownerReferences"
    cluster.run()
    assert cluster.trials["demo-1"]["status"]["reason"] == "AdoptionRefused"
    assert cluster.status["trials"]["succeeded"] == 3


def test_a_study_that_is_suspended_or_over_adopts_nothing() -> None:
    cluster = SimulatedCluster(made(4, 1))
    cluster.edit(suspend=True)
    cluster.trials["demo-3"] = manual(3)
    cluster.run()
    assert cluster.trials["demo-3"]["status"]["message"] == "its study is suspended"
    cluster.edit(suspend=False, objective=cluster.study["spec"]["objective"])
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    ended = SimulatedCluster(made(4, 1, SOBOL, gpuHours=0.001))
    ended.run()
    ended.trials["demo-3"] = manual(3)
    ended.run()
    assert ended.trials["demo-3"]["status"]["message"].startswith("its study has ended: used")
    assert ended.status["reason"] == "GPUHoursExhausted"


def test_the_example_is_a_trial_of_its_study() -> None:
    folder = Path(__file__).resolve().parents[2] / "crds" / "examples"
    (raw,) = read_study_files(folder / "08-manual-trial.yaml")
    study = parse_study(read_study_files(folder / "01-brain-tissue.yaml")[0])
    assert Stray.of(raw, study, engine_study(study.spec)).problems == ()


@settings(max_examples=10)
@given(SEEDS)
def test_dying_between_any_two_actions_adopts_each_once(seed: int) -> None:
    trials = [manual(2), manual(7), manual(5, parameters={}), manual(6, study="other")]
    cluster = with_manual(made(9, 2, HYPERBAND), *trials)
    performed_in_part(cluster, Random(seed))
    assert cluster.status["reason"] == "TrialsCompleted"
    assert cluster.status["trials"]["total"] == 7
    assert cluster.most_alive <= 2
    assert len(cluster.created_pods) == len(set(cluster.created_pods))
