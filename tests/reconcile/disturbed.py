"""Studies in the simulated cluster to which everything happens: crashes, lost Pods, failures, edits, pauses."""

from __future__ import annotations

import hashlib
import json
from random import Random
from typing import Any

from hpo_engine.memory import Memory
from hpo_operator.reconcile.decide import decide
from hpo_operator.reconcile.snapshot import Sample
from reconcile.objects import measured
from reconcile.simulation import Raw, Run, SimulatedCluster, dice
from reconcile.studies import made

SAMPLERS = ("Random", "Sobol", "GP", "TPE")
SCHEDULERS = (
    "None",
    "SuccessiveHalving",
    "Hyperband",
    "ASHA",
    "AsyncHyperband",
    "ASHAStopping",
    "MedianStopping",
    "FreezeThaw",
)
COMBINATIONS = [(a, b) for a in SAMPLERS for b in SCHEDULERS if b != "FreezeThaw" or a == "GP"]
STEPS = 3000


def algorithm(sampler: str, scheduler: str) -> Raw:
    return {
        "algorithm": {"sampler": {"type": sampler}, "scheduler": {"type": scheduler}},
        "fidelity": {"resource": "epochs", "min": 1, "max": 9, "eta": 3},
    }


def chequered(parameters: dict[str, Any], resource: int) -> Run:
    """``dice`` with some noise; one configuration in seven cannot be trained."""
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).digest()
    if digest[0] % 7 == 0:
        return Run("", code=1, seconds=5.0)
    good = dice(parameters, resource)
    value = json.loads(good.message)["metrics"]["dice"] + digest[1] / 1000
    return Run(measured(value), seconds=good.seconds)


def disturbed(
    sampler: str, scheduler: str, seed: int, trials: int = 10, memory: Memory | None = None
) -> SimulatedCluster:
    """A study that has ended, after all sorts of things happened to it on the way.

    ``memory``: with which every decision is taken a second time, and must be the same.
    """
    chance = Random(seed)
    raw = made(trials, chance.choice([1, 2, 4, 7]), algorithm(sampler, scheduler), failedTrials=trials)
    raw["spec"]["seed"] = seed % 2**31
    cluster = SimulatedCluster(raw, chequered)
    for _ in range(STEPS):
        decision = cluster.decide()
        if memory is not None:
            assert decide(cluster.snapshot(), cluster.settings, cluster.now, memory) == decision
        if decision.actions:
            done = len(decision.actions) if chance.random() < 0.6 else chance.randrange(len(decision.actions))
            cluster.perform(*decision.actions[:done])
            continue
        if cluster.status.get("completionTime"):
            return cluster
        disturb(cluster, chance, trials)
        if not cluster.advance(decision.wake_at):
            cluster.edit(suspend=False)
    raise AssertionError(f"not finished after {STEPS} steps: {cluster.status}")


def disturb(cluster: SimulatedCluster, chance: Random, trials: int) -> None:
    """Perhaps one of everything."""
    cluster.start_pods()
    for name in cluster.running():
        match chance.randrange(20):
            case 0:
                cluster.interrupt(name)
            case 1:
                cluster.evict(name)
            case 2:
                cluster.lose(name)
            case 3 | 4 | 5 | 6 | 7:
                cluster.samples[name] = sample(cluster, name, chance)
    match chance.randrange(16):
        case 0:
            cluster.edit_budget(parallelism=chance.randint(1, 6))
        case 1:
            cluster.edit_budget(trials=chance.randint(trials, trials + 3))
        case 2 | 3:
            cluster.edit(suspend=not cluster.study["spec"].get("suspend", False))


def sample(cluster: SimulatedCluster, name: str, chance: Random) -> Sample:
    """What a Pod shows of its first epochs, as far as it likes."""
    env = {e["name"]: e.get("value") for e in cluster.pods[name]["spec"]["containers"][0]["env"]}
    parameters, reached = json.loads(env["HPO_PARAMETERS"]), chance.randint(1, 9)
    points = [(epoch, dice(parameters, epoch)) for epoch in range(1, reached + 1)]
    curve = [(epoch, json.loads(run.message)["metrics"]["dice"]) for epoch, run in points]
    return Sample(curve[-1][1], reached, tuple(curve[:-1]))
