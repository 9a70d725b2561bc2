"""The studies of the benchmark: small spaces, mixed algorithms, trials of one container each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Raw = dict[str, Any]

NAMESPACE = "load"
FIDELITY = {"resource": "epochs", "min": 1, "max": 9, "eta": 3}

ALGORITHMS: tuple[tuple[str, int, Raw], ...] = (
    ("random", 4, {"sampler": {"type": "Random"}}),
    ("asha", 2, {"sampler": {"type": "Random"}, "scheduler": {"type": "ASHA"}}),
    ("hyperband", 2, {"sampler": {"type": "Random"}, "scheduler": {"type": "Hyperband"}}),
    ("gp", 2, {"sampler": {"type": "GP"}}),
)
"""Name, how many studies of ten, and the algorithm."""

REFILLS = ("random", "asha", "gp")
"""Each of their Pods that ends is followed by another at once, until the budget is spent; Hyperband's rungs wait."""


@dataclass(frozen=True)
class Load:
    """``trials`` of each study; at most ``parallelism`` of each train at once, for ``seconds`` on average."""

    studies: int
    trials: int
    parallelism: int
    seconds: float

    @property
    def total(self) -> int:
        return self.studies * self.trials


def manifests(load: Load) -> Iterator[Raw]:
    """The studies, in the order in which they are created."""
    turn = [entry for entry in ALGORITHMS for _ in range(entry[1])]
    for number in range(load.studies):
        name, _, algorithm = turn[number % len(turn)]
        yield _study(f"{name}-{number}", algorithm, load, number)


def _study(name: str, algorithm: Raw, load: Load, seed: int) -> Raw:
    container = {
        "name": "trainer",
        "image": "none",
        "command": ["train"],
        "resources": {"limits": {"nvidia.com/gpu": 1}},
    }
    spec = {
        "objective": {"metric": "loss", "direction": "Minimize"},
        "parameters": [
            {"name": "learningRate", "float": {"min": 1e-4, "max": 1e-1, "scale": "Log"}},
            {"name": "depth", "int": {"min": 2, "max": 6}},
            {"name": "optimizer", "categorical": {"choices": ["Adam", "SGD"]}},
        ],
        "algorithm": algorithm,
        "budget": {"trials": load.trials, "parallelism": load.parallelism},
        "seed": seed,
        "trainer": {"podTemplate": {"spec": {"containers": [container]}}},
    }
    if "scheduler" in algorithm:
        spec["fidelity"] = FIDELITY
    return {"apiVersion": "hpo.study/v1alpha1", "kind": "HPOStudy", "metadata": {"name": name}, "spec": spec}
