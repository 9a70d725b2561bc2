"""Made-up truths to foretell: a space, what its configurations reach and cost, a study, and a pilot of it.

They owe nothing to the models of ``hpo simulate``: values are bowls with waves and interactions, sometimes with a part
that diverges, curves are power laws, exponentials or races that the fast starters lose, costs are products or sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpo_engine.parameters import CategoricalParameter, FloatArray
from hpo_engine.space import Space
from hpo_engine.trial import Parameters
from hpo_operator.api import engine_study
from hpo_operator.api.parse import parse_study

Raw = dict[str, Any]
SAMPLE = 300
"""Random configurations by which values and costs are standardised."""
KINDS: tuple[Raw, ...] = (
    {"float": {"min": -2.0, "max": 3.0}},
    {"float": {"min": 1e-4, "max": 0.1, "scale": "Log"}},
    {"int": {"min": 1, "max": 6}},
    {"int": {"min": 8, "max": 128, "scale": "Log"}},
    {"categorical": {"choices": ["a", "b", "c"]}},
)
LADDERS = ((1, 9, 3), (1, 27, 3), (2, 16, 2))
SCHEDULERS = ("ASHA", "ASHA", "Hyperband", "SuccessiveHalving", "ASHAStopping", "MedianStopping", "None")
DRIFTS = (0.0, 0.03, 0.08)
"""Standard deviations of what differs between two runs of the same training, for all its Pods alike."""


@dataclass(frozen=True)
class World:
    """``loss`` of (index, parameters, resource), ``per_unit`` seconds; ``mean``: of these over the space.

    ``noise``: standard deviation of the logarithm of a Pod's seconds; ``drift``: of a whole run's.
    """

    study: Raw
    pilot: Raw
    loss: Callable[[int, Parameters, int], float]
    per_unit: Callable[[Parameters], float]
    startup: float
    mean: float
    noise: float
    drift: float


def world(number: int) -> World:
    """The same for the same number."""
    chance = np.random.default_rng((2026, number))
    study = _study(number, chance)
    space = engine_study.engine_study(parse_study(study).spec).space
    places = _random_places(space, chance)
    base, spread = float(np.exp(chance.uniform(0.7, 4.0))), float(0.35 * np.exp(0.6 * chance.standard_normal()))
    log_cost = _log_cost(space, places, spread, chance)
    quality = _quality(space, places, log_cost, chance)
    curve, noise, seed = _curve(space, study["spec"]["fidelity"]["max"], chance), float(chance.uniform(0, 0.15)), number

    def loss(index: int, parameters: Parameters, resource: int) -> float:
        z = _place(space, parameters)
        own = np.random.default_rng((seed, index, resource)).standard_normal()
        return quality(z) + curve(z, resource) + noise * float(own)

    def per_unit(parameters: Parameters) -> float:
        return base * math.exp(log_cost(_place(space, parameters)))

    mean = float(np.mean([base * math.exp(log_cost(z)) for z in places]))
    startup = mean * float(chance.uniform(0.1, 3.0))
    drift = float(chance.choice(DRIFTS))
    return World(study, _pilot(study, chance), loss, per_unit, startup, mean, 0.03, drift)


def _study(number: int, chance: np.random.Generator) -> Raw:
    kinds = chance.integers(len(KINDS), size=int(chance.integers(2, 6)))
    low, high, eta = LADDERS[int(chance.integers(len(LADDERS)))]
    sampler = str(chance.choice(["Random"] * 8 + ["TPE", "GP"]))
    scheduler = str(chance.choice(SCHEDULERS))
    if scheduler == "None" and sampler == "GP":
        sampler = "Random"
    container = {"name": "trainer", "image": "made-up", "command": ["true"]}
    trainer: Raw = {"podTemplate": {"spec": {"containers": [container]}}}
    if chance.random() < 0.8:
        trainer["checkpoints"] = {"claimName": "work"}
    return {
        "apiVersion": "hpo.study/v1alpha1",
        "kind": "HPOStudy",
        "metadata": {"name": "world"},
        "spec": {
            "objective": {"metric": "loss", "direction": "Minimize"},
            "parameters": [{"name": f"p{j}"} | KINDS[kind] for j, kind in enumerate(kinds)],
            "algorithm": {"sampler": {"type": sampler}, "scheduler": {"type": scheduler}},
            "fidelity": {"resource": "epochs", "min": low, "max": high, "eta": eta},
            "budget": {"trials": int(chance.integers(10, 31)), "parallelism": int(chance.choice([1, 2, 4]))},
            "seed": number,
            "trainer": trainer,
        },
    }


def _pilot(study: Raw, chance: np.random.Generator) -> Raw:
    """The study with a small budget, or its first trials for short; one in four begins elsewhere."""
    spec = dict(study["spec"])
    spec["budget"] = {"trials": int(chance.integers(5, 11)), "parallelism": 2}
    if chance.random() < 0.5:
        f = spec["fidelity"]
        spec["algorithm"] = spec["algorithm"] | {"scheduler": {"type": "SuccessiveHalving"}}
        spec["fidelity"] = f | {"max": f["min"] * f["eta"]}
    if chance.random() < 0.25:
        spec["seed"] = study["spec"]["seed"] + 1_000_000
    return study | {"metadata": {"name": "pilot"}, "spec": spec}


def _random_places(space: Space, chance: np.random.Generator) -> FloatArray:
    return np.array([_place(space, space.decode(u)) for u in chance.random((SAMPLE, space.dimension))])


def _place(space: Space, parameters: Parameters) -> FloatArray:
    """Coordinates within [0, 1]."""
    return np.nan_to_num(space.encode(parameters), nan=0.5)


def _quality(
    space: Space, places: FloatArray, log_cost: Callable[[FloatArray], float], chance: np.random.Generator
) -> Callable[[FloatArray], float]:
    """Mean 0 and standard deviation 1 over the space, but for what diverges. Half of the time dear ones do better."""
    d = space.dimension
    best, weights, mixed = chance.random(d), chance.exponential(size=d), chance.standard_normal((d, d)) / d
    waves, phase = chance.uniform(2, 8, d), chance.uniform(0, 6, d)
    levels = chance.standard_normal((d, 10))
    categorical = [isinstance(p, CategoricalParameter) for p in space.parameters]
    gain, edge = float(chance.choice([0.0, 1.0])), float(chance.choice([0.0, 0.15]))

    def plain(z: FloatArray) -> float:
        x = z - best
        cells = [
            levels[j, int(z[j] * 9.99)] if flat else 6 * weights[j] * x[j] ** 2 for j, flat in enumerate(categorical)
        ]
        return float(sum(cells) + x @ mixed @ x + 0.3 * np.sum(np.sin(waves * z + phase)))

    values = np.array([plain(z) for z in places])
    mean, sd = float(values.mean()), float(values.std()) or 1.0
    costs = np.array([log_cost(z) for z in places])
    wide = float(costs.std()) or 1.0
    last = float(np.quantile(places[:, 0], 1 - edge)) if edge else 2.0
    return lambda z: (plain(z) - mean) / sd - gain * log_cost(z) / wide + (20.0 if z[0] > last else 0.0)


def _curve(space: Space, most: int, chance: np.random.Generator) -> Callable[[FloatArray, int], float]:
    """What is still missing after so many units."""
    kind, tilt = str(chance.choice(["power", "exponential", "race"])), chance.standard_normal(space.dimension)
    height, speed = float(chance.uniform(0.3, 3.0)), float(chance.uniform(0.4, 1.2))

    def missing(z: FloatArray, resource: int) -> float:
        lean, share = math.tanh(float(tilt @ (z - 0.5))), resource / most
        if kind == "power":
            return 0.3 * height * math.exp(0.5 * lean) * float(share**-speed)
        if kind == "exponential":
            return height * math.exp(-3 * share * math.exp(lean))
        return height * (1 + lean) * math.exp(-4 * speed * share) - 0.5 * lean * share

    return missing


def _log_cost(
    space: Space, places: FloatArray, spread: float, chance: np.random.Generator
) -> Callable[[FloatArray], float]:
    """Of standard deviation ``spread`` around 0: a product of powers, or a sum with a part that is always there."""
    slopes = chance.standard_normal(space.dimension) * (chance.random(space.dimension) < 0.6)
    slopes[int(chance.integers(space.dimension))] += 1.0
    levels = chance.standard_normal((space.dimension, 10))
    flat = [isinstance(p, CategoricalParameter) for p in space.parameters]
    sums = bool(chance.random() < 0.5)

    def plain(z: FloatArray) -> float:
        terms = [slopes[j] * (levels[j, int(z[j] * 9.99)] if flat[j] else z[j] - 0.5) for j in range(len(z))]
        return math.log(0.5 + math.exp(2 * float(sum(terms)))) if sums else float(sum(terms))

    values = np.array([plain(z) for z in places])
    mean, sd = float(values.mean()), float(values.std()) or 1.0
    return lambda z: spread * (plain(z) - mean) / sd
