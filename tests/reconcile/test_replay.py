"""A study replays to itself, whatever happened to it; and whatever is changed in it afterwards is found."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_operator.api.parse import parse_study
from hpo_operator.reconcile.readings import read_trials
from hpo_operator.reconcile.replay import Replay, replay
from reconcile.disturbed import COMBINATIONS, algorithm, chequered, disturbed
from reconcile.simulation import Raw, SimulatedCluster
from reconcile.studies import SEEDS, made, ran
from reconcile.test_manual_trials import manual


def replayed(cluster: SimulatedCluster) -> Replay:
    study = parse_study(cluster.study)
    trials, errors = read_trials(study, tuple(cluster.trials.values()))
    assert not errors
    return replay(study, [read.trial for read in trials])


@pytest.mark.parametrize(("sampler", "scheduler"), COMBINATIONS)
@settings(max_examples=2, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_a_study_replays_to_itself(sampler: str, scheduler: str, seed: int) -> None:
    cluster = disturbed(sampler, scheduler, seed)
    again = replayed(cluster)
    assert (again.difference, again.notes) == (None, ())
    assert again.trials == len(cluster.trials)
    steps = [step for trial in cluster.trials.values() for step in trial["spec"]["steps"]]
    assert again.decisions == len({step["decision"] for step in steps}) >= 1


# --- what is changed afterwards


def change(value: Any) -> Any:
    """Something else of the same type."""
    match value:
        case str():
            return repr(float(value) * 1.01) if "." in value else str(int(value) + 1)
        case _:
            return value + 1


def of_a_parameter(trial: Raw, chance: random.Random) -> bool:
    name = chance.choice(sorted(trial["spec"]["parameters"]))
    trial["spec"]["parameters"][name] = change(trial["spec"]["parameters"][name])
    return True


def of_a_measurement(trial: Raw, chance: random.Random) -> bool:
    measurements = trial["status"].get("measurements", [])
    if measurements:
        key = chance.choice(["value", "rung", "resource", "decision"])
        chance.choice(measurements)[key] += 1
    return bool(measurements)


def of_a_rung(trial: Raw, chance: random.Random) -> bool:
    key = chance.choice(["rung", "resource"])
    trial["spec"][key] += 1
    if trial["spec"]["rung"] > 0:
        trial["spec"]["resource"] = max(1, trial["spec"]["resource"])
    return True


def of_a_failure(trial: Raw, _: random.Random) -> bool:
    failed = "failure" in trial["status"]
    if failed:
        trial["status"]["failure"]["reason"] = "OutOfMemory"
    return failed


def of_what_was_watched(trial: Raw, chance: random.Random) -> bool:
    points = trial["status"].get("watched", [])
    if points:
        chance.choice(points)["value"] += 0.01
    return bool(points)


CHANGES: list[Callable[[Raw, random.Random], bool]] = [
    of_a_parameter,
    of_a_measurement,
    of_a_rung,
    of_a_failure,
    of_what_was_watched,
]


@pytest.mark.parametrize(("sampler", "scheduler"), [("Random", "None"), ("TPE", "ASHAStopping"), ("GP", "Hyperband")])
def test_any_change_of_what_is_stored_is_found_and_its_trial_named(sampler: str, scheduler: str) -> None:
    cluster, chance = disturbed(sampler, scheduler, 0, trials=7), random.Random(1)
    made_of = []
    for name in cluster.trials:
        for what in CHANGES:
            edited = copy.deepcopy(cluster)
            if what(edited.trials[name], chance):
                difference = replayed(edited).difference
                assert difference is not None, (name, what)
                assert difference.trial == name
                made_of.append(what)
    expected = {of_a_parameter, of_a_measurement, of_a_rung, of_a_failure} | (
        {of_what_was_watched} if scheduler == "ASHAStopping" else set()
    )
    assert set(made_of) == expected


def test_the_difference_is_a_sentence_with_both_values() -> None:
    cluster = ran(made(5, 1))
    stored = cluster.trials["demo-3"]["spec"]["parameters"]["learningRate"]
    cluster.trials["demo-3"]["spec"]["parameters"]["learningRate"] = "0.05"
    assert str(replayed(cluster).difference) == (f"decision 4, demo-3: stored learningRate = 0.05; rebuilt: {stored}")


def test_a_trial_that_was_deleted_is_missed() -> None:
    cluster = ran(made(5, 1))
    del cluster.trials["demo-2"]
    assert str(replayed(cluster).difference) == ("decision 4, demo-3: was begun; rebuilt: demo-2 is begun")


def test_a_promotion_of_another_trial_is_found() -> None:
    cluster = ran(made(5, 1, algorithm("Sobol", "SuccessiveHalving")))
    [promoted] = [t for t in cluster.trials.values() if t["spec"]["rung"] > 0]
    [name] = [n for n, t in cluster.trials.items() if t is promoted]
    other = next(t for t in cluster.trials.values() if t["spec"]["rung"] == 0)
    other["spec"]["steps"] += promoted["spec"]["steps"][1:]
    del promoted["spec"]["steps"][1:]
    for key in ("rung", "resource"):
        promoted["spec"][key], other["spec"][key] = other["spec"][key], promoted["spec"][key]
    difference = replayed(cluster).difference
    assert difference is not None
    assert difference.trial == other["metadata"]["name"]
    assert difference.message.endswith(f"rebuilt: {name} to rung 1, to 3")


# --- trials that no decision started


def without_record(trial: Raw) -> None:
    """As an operator left it that recorded nothing."""
    trial["spec"].pop("steps")
    for name in ("digest", "foundIn", "stoppedIn"):
        trial["status"].pop(name, None)
    for entry in (*trial["status"].get("measurements", []), trial["status"].get("failure", {})):
        entry.pop("decision", None)


@pytest.mark.parametrize(("sampler", "scheduler"), [("GP", "None"), ("TPE", "Hyperband"), ("GP", "FreezeThaw")])
@settings(max_examples=3, deadline=None, derandomize=True)
@given(after=st.integers(3, 9))
def test_what_comes_after_an_update_replays(sampler: str, scheduler: str, after: int) -> None:
    """The operator was one that recorded nothing until ``after`` trials had begun."""
    cluster = SimulatedCluster(made(12, 2, algorithm(sampler, scheduler)), chequered)
    while len(cluster.trials) < after:
        cluster.step()
    old = set(cluster.trials)
    for trial in cluster.trials.values():
        without_record(trial)
    cluster.run()
    again = replayed(cluster)
    assert again.difference is None
    [note] = again.notes
    assert note.startswith("demo-0, demo-1, demo-2")
    assert {name for name, t in cluster.trials.items() if "foundIn" in t["status"]} == old


@pytest.mark.parametrize(("sampler", "scheduler"), [("GP", "None"), ("Sobol", "Hyperband"), ("GP", "FreezeThaw")])
def test_trials_made_by_hand_are_taken_as_given(sampler: str, scheduler: str) -> None:
    """One that is adopted, and one that cannot be, whose number stays taken until somebody deletes it."""
    cluster = SimulatedCluster(made(12, 2, algorithm(sampler, scheduler)), chequered)
    for _ in range(4):
        cluster.step()
    cluster.trials |= {"demo-8": manual(8), "demo-9": manual(9, parameters={"learningRate": "7", "depth": "3"})}
    while len(cluster.trials) < 12:
        cluster.step()
    del cluster.trials["demo-9"]
    cluster.run()
    again = replayed(cluster)
    assert again.difference is None
    assert [note[:13] for note in again.notes] == ["demo-8: begun"]
    steps = [step for trial in cluster.trials.values() for step in trial["spec"].get("steps", ())]
    held = {tuple(step.get("held", ())) for step in steps}
    assert held == {(), (9,)}
