"""Pareto fronts of reports: of both objectives where there are two, else of the objective and training time."""

from __future__ import annotations

from pathlib import Path

from cli.small_study import STUDY, trial
from hpo_engine.analysis.pareto import Goal
from hpo_operator.report.stored_study import understood
from hpo_operator.report.trade_off import TradeOff, trade_off
from report.reports import NOW, evidence


def test_with_two_objectives() -> None:
    spec = {key: value for key, value in STUDY["spec"].items() if key not in ("fidelity", "algorithm")}
    study = STUDY | {"spec": spec | {"secondObjective": {"metric": "size", "direction": "Minimize"}}}
    values = [(0.9, 30.0), (0.8, 10.0), (0.85, 40.0), (0.7, 5.0)]
    trials = [trial(i, (0.01, 2), (0, value)) for i, (value, _) in enumerate(values)]
    for made, (_, size) in zip(trials, values, strict=True):
        made["spec"]["resource"] = 0
        made["status"]["measurements"][0]["metrics"] = {"size": size}
    found = trade_off(understood(study, trials, NOW))
    assert found == TradeOff(0, Goal("size", maximize=False), dict(enumerate(values)), (0, 1, 3))


def test_with_one_objective_training_time_is_the_other(tmp_path: Path) -> None:
    found = evidence(tmp_path).trade_off
    assert found is not None
    assert (found.other.metric, found.resource, sorted(found.points)) == ("seconds", 9, [6, 7])
