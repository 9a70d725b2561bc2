"""Schedulers under ``hpo run``, with real processes that train epoch by epoch and show it on /metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo_engine.planner import plan
from hpo_operator.api.engine_study import engine_study
from hpo_operator.api.parse import parse_study
from local.toy_runs import Runs, status, toy_study

Raw = dict[str, Any]

EPOCHS = """
import signal, time
from hpo_trainer.report import checkpoint_dir, parameters, report, resource
state = checkpoint_dir() / "epoch"
epoch = int(state.read_text()) if state.exists() else 0
while epoch < resource():
    epoch += 1
    state.write_text(str(epoch))
    report({{"loss": (parameters()["x"] - 0.7) ** 2 + 1.0 / epoch}}, resource=epoch)
    time.sleep(0.2)
    if (parameters()["x"] - 0.7) ** 2 > {hangs_above}:
        signal.pause()
"""
"""Trains on from its checkpoint. Whoever is worse than ``hangs_above`` never comes beyond its first epoch."""


def study(scheduler: str, hangs_above: float = 1e9) -> Raw:
    return toy_study(
        EPOCHS.format(hangs_above=hangs_above),
        trials=6,
        parallelism=4,
        algorithm={"sampler": {"type": "Random"}, "scheduler": {"type": scheduler}},
        fidelity={"resource": "epochs", "min": 1, "max": 9},
    )


def misses(study: Raw) -> list[float]:
    """(x - 0.7)² of the study's trials, which random search does not choose by results."""
    raw = study | {"metadata": {"name": "toy", "namespace": "local"}}
    starts = plan(engine_study(parse_study(raw).spec), (), 6).start
    return [(float(s.parameters["x"]) - 0.7) ** 2 for s in starts]


def by_index(trials: list[Raw]) -> list[Raw]:
    return sorted(trials, key=lambda trial: int(trial["spec"]["index"]))


@pytest.mark.parametrize("scheduler", ["ASHA", "SuccessiveHalving"])
def test_the_best_go_on_from_their_checkpoints(tmp_path: Path, scheduler: str) -> None:
    asked = study(scheduler)
    store = Runs(tmp_path).serve(asked)
    assert status(store)["phase"] == "Succeeded"
    trials = by_index(store.all("trials"))
    found = misses(asked)
    rungs = [trial["spec"].get("rung", 0) for trial in trials]
    assert rungs[found.index(min(found))] == 2
    assert rungs[found.index(max(found))] == 0
    for trial, miss in zip(trials, found, strict=True):
        for measurement, resource in zip(trial["status"]["measurements"], (1, 3, 9), strict=False):
            assert measurement["resource"] == resource
            assert measurement["value"] == pytest.approx(miss + 1 / resource)


def test_whoever_is_not_among_the_best_at_a_rung_is_stopped(tmp_path: Path) -> None:
    """The four worst hang for ever after an epoch: the study can only end because they are stopped."""
    found = misses(study("ASHAStopping"))
    good, bad = sorted(found)[1], sorted(found)[2]
    store = Runs(tmp_path).serve(study("ASHAStopping", hangs_above=(good + bad) / 2))
    assert status(store)["phase"] == "Succeeded"
    trials = by_index(store.all("trials"))
    for trial, miss in zip(trials, found, strict=True):
        if miss >= bad:
            assert trial["status"]["phase"] == "Stopped"
            assert trial["status"]["message"] == "stopped after 1"
            assert trial["status"].get("measurements", []) == []
    best = trials[found.index(min(found))]
    assert best["status"]["phase"] == "Succeeded"
    assert [m["resource"] for m in best["status"]["measurements"]] == [9]
    assert {1, 3, 9} <= {point["resource"] for point in best["status"]["curve"]}
    assert status(store)["best"]["trial"] == best["metadata"]["name"]


def test_freeze_thaw_brings_the_best_to_the_end(tmp_path: Path) -> None:
    asked = toy_study(
        EPOCHS.format(hangs_above=1e9),
        trials=10,
        parallelism=2,
        algorithm={"sampler": {"type": "GP", "initialTrials": 4}, "scheduler": {"type": "FreezeThaw"}},
        fidelity={"resource": "epochs", "min": 1, "max": 8, "eta": 2},
    )
    store = Runs(tmp_path).serve(asked)
    assert status(store)["phase"] == "Succeeded"
    trials = by_index(store.all("trials"))
    ends = [trial["status"]["measurements"][-1]["resource"] for trial in trials]
    miss = [(float(trial["spec"]["parameters"]["x"]) - 0.7) ** 2 for trial in trials]
    assert ends[miss.index(min(miss))] == 8
    assert min(ends) < 8
    for trial, end in zip(trials, ends, strict=True):
        found = [measurement["resource"] for measurement in trial["status"]["measurements"]]
        assert found == [r for r in (1, 2, 4, 8) if r <= end]
