"""What a problem is to the harness: a space, and what training a configuration would report.

A problem knows two curves of a configuration. ``observed`` is what a method is told after each unit of resource;
``truth`` is the same without noise, and what the report scores. Costs are in full trainings: a configuration of
average speed costs 1 from the first unit to the last.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hpo_engine.space import Space
from hpo_engine.trial import Parameters

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """``observed`` and ``truth`` (R,) at resources 1..R, NaN from where it diverged; ``unit_cost`` of each."""

    observed: FloatArray
    truth: FloatArray
    unit_cost: float


class Problem(Protocol):
    """An objective to minimise, with a resource of 1..``max_resource`` units.

    ``best``: the lowest true loss that exists. ``typical``: the median over configurations of the lowest true loss on
    their curve. ``diverged``: the finite number that stands for NaN, for methods that take none.
    ``seed`` of ``curve`` draws the noise of one run of the benchmark.
    """

    name: str
    dev: bool
    space: Space
    max_resource: int
    best: float
    typical: float
    diverged: float

    def begin(self) -> Problem:
        """The problem for one run: what was drawn in others is forgotten."""

    def curve(self, parameters: Parameters, seed: int) -> Curve: ...


def regret(problem: Problem, loss: float) -> float:
    """Normalised: 0 is the best loss that exists, 1 that of a typical configuration."""
    return (loss - problem.best) / (problem.typical - problem.best)


def data(name: str) -> dict[str, Any]:
    """A table's arrays, from $HPO_DATA (default: ``shared/data`` beside the checkout)."""
    folder = Path(os.environ.get("HPO_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
    with np.load(folder / "hpo" / name, allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def uniform(space: Space, n: int, seed: int) -> list[Parameters]:
    """``n`` configurations drawn uniformly from the unit cube."""
    points = np.random.default_rng(seed).random((n, space.dimension))
    return [space.decode(u) for u in points]


Make = Callable[[], Problem]
