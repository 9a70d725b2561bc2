"""Made-up studies: the fast cluster is the one of ``hpo simulate``, and what is foretold is of the right size."""

from __future__ import annotations

import pytest
from forecasts.calibration import figures_of
from forecasts.foretold import BASES, compared
from forecasts.virtual import Virtual
from forecasts.worlds import World, world

from hpo_engine.trial import Parameters
from hpo_operator.api.engine_study import engine_study
from hpo_operator.api.parse import parse_study
from hpo_operator.simulation.cluster import Node
from hpo_operator.simulation.costs import Prices
from hpo_operator.simulation.forecast import SpendingCluster, simulated

START_SECONDS = 2.0


class Truth:
    def __init__(self, made: World) -> None:
        self._made = made

    def loss(self, index: int, parameters: Parameters, resource: int) -> float:
        return self._made.loss(index, parameters, resource)


@pytest.mark.parametrize("number", [1001, 1002, 1006, 1012, 1014])
def test_the_fast_cluster_does_what_the_operator_decides(number: int) -> None:
    """ASHA, ASHAStopping, Hyperband, a stopping one with four Pods at once, SuccessiveHalving."""
    made = world(number)
    study, prices = parse_study(simulated(made.study)), Prices(made.startup, made.per_unit)
    resumes, parallelism = study.spec.trainer.checkpoints is not None, study.spec.budget.parallelism
    fast = Virtual(engine_study(study.spec), parallelism, made.loss, prices, resumes, START_SECONDS).run()
    cluster = SpendingCluster(simulated(made.study), study, Node(None, START_SECONDS), prices, Truth(made))
    while not cluster.status.get("completionTime") and cluster.step():
        pass
    slow = cluster.outcome()
    assert fast.pods == slow.pods
    assert fast.pod_seconds == pytest.approx(slow.pod_seconds, rel=1e-6)
    assert fast.now == pytest.approx(slow.wall_seconds, rel=1e-6)


def test_a_world_foretold_on_both_bases() -> None:
    rows = compared(world(1001), 1001)
    assert [row["basis"] for row in rows] == list(BASES)
    for row in rows:
        for figure, real in row["real"].items():
            said = row["predicted"][figure]
            assert said["low"] <= said["median"] <= said["high"]
            assert 0.5 < said["median"] / real < 2


def test_figures_by_hand() -> None:
    """Errors of +10 %, -30 %; the first interval holds what came."""
    said = [{"median": 110, "low": 90, "high": 120}, {"median": 70, "low": 60, "high": 80}]
    rows = [{"predicted": {"pods": one}, "real": {"pods": 100.0}} for one in said]
    assert figures_of("pods", rows) == ["-10 %", "20 %", "28 %", "50 %", "50 %", "25 %"]
