"""Studies for tests of ``decide``, run in the simulated cluster, and what must be true of each that has ended."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from reconcile.objects import study
from reconcile.simulation import Raw, Run, SimulatedCluster, Train, dice

SOBOL: Raw = {"algorithm": {"sampler": {"type": "Sobol"}}}
GP: Raw = {"algorithm": {"sampler": {"type": "GP", "initialTrials": 4}}}
HYPERBAND: Raw = {
    "algorithm": {"sampler": {"type": "Sobol"}, "scheduler": {"type": "Hyperband"}},
    "fidelity": {"resource": "epochs", "min": 1, "max": 9, "eta": 3},
}
ALGORITHMS = {"Sobol": SOBOL, "GP": GP, "Hyperband": HYPERBAND}
SEEDS = st.integers(0, 2**32)
CONDITIONS = ["Accepted", "Progressing", "Suspended", "Finished", "Succeeded"]


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
        "Suspended": "False",
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


@cache
def undisturbed(name: str, trials: int, parallelism: int) -> dict[int, tuple[Any, ...]]:
    return ran(made(trials, parallelism, ALGORITHMS[name])).results()


def failing(_: dict[str, Any], __: int) -> Run:
    return Run("", code=1)
