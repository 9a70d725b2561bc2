"""Where the acquisition function is largest, over mixed and conditional spaces, without repeating a configuration.

A broad pool (a scrambled Sobol set, and mutations of the best configurations so far) is valued at once. The best of it
are refined in turns: numbers by L-BFGS-B with analytic gradients, everything discrete by steepest local search over
all single changes. Small finite spaces are valued completely instead. The generator is the only source of chance.

"Latent" points (d,) have a coordinate for every parameter, active or not, so that a change of a parent finds values for
the children it brings to life; "encoded" points have NaN there, as the kernel wants.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

from hpo_engine.acquisition.functions import AcquisitionFunction
from hpo_engine.parameters import CategoricalParameter, FloatArray, Parameter
from hpo_engine.space import Space
from hpo_engine.trial import Parameters

COMPLETE = 512
"""Finite spaces of at most this many configurations are valued completely."""
SOBOL_POINTS = 512
MUTANTS_PER_ANCHOR = 48
STARTS = 5
ROUNDS = 4
LOCAL_STEPS = 12
SWEPT_CELLS = 16
"""A number with more cells than this is refined as if it were continuous, then tried a few cells to either side."""


@dataclass(frozen=True)
class Choice:
    """A configuration, its encoding (d,) and its value."""

    parameters: Parameters
    encoded: FloatArray
    value: float


def maximise(
    space: Space,
    function: AcquisitionFunction,
    used: Collection[str],
    anchors: FloatArray,
    generator: np.random.Generator,
) -> Choice | None:
    """The unused configuration of the largest value that was found; None when the pool holds used ones only.

    ``anchors`` (k, d): encoded points worth a look around, best first. ``used``: keys that may not come back.
    """
    size = space.size()
    if size is not None and size <= COMPLETE:
        return _best_of_all(space, function, used)
    pool = latent_pool(space, anchors, generator)
    values = function(space.snap(pool))
    order = np.argsort(-values, kind="stable")
    refined = [_refine(space, function, pool[i], float(values[i])) for i in order[:STARTS]]
    refined.sort(key=lambda found: -found[1])
    for latent in (*(latent for latent, _ in refined), *pool[order]):
        parameters = space.decode(latent)
        if space.key(parameters) not in used:
            encoded = space.encode(parameters)
            return Choice(parameters, encoded, float(function(encoded[None, :])[0]))
    return None


def _best_of_all(space: Space, function: AcquisitionFunction, used: Collection[str]) -> Choice | None:
    unused = [parameters for parameters in space.configurations() if space.key(parameters) not in used]
    if not unused:
        return None
    encoded = np.array([space.encode(parameters) for parameters in unused])
    values = function(encoded)
    best = int(np.argmax(values))
    return Choice(unused[best], encoded[best], float(values[best]))


def latent_pool(space: Space, anchors: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Latent points (n, d) all over the space, and near the anchors."""
    return np.vstack([_sobol(space.dimension, generator), _mutants(space, anchors, generator)])


def _sobol(dimension: int, generator: np.random.Generator) -> FloatArray:
    points: FloatArray = qmc.Sobol(dimension, scramble=True, rng=generator).random(SOBOL_POINTS)
    return points


def _mutants(space: Space, anchors: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Latent points (k * MUTANTS_PER_ANCHOR, d) near the anchors, at distances from 0.3 down to 0.003."""
    d = space.dimension
    parents = np.repeat(anchors, MUTANTS_PER_ANCHOR, axis=0)
    n = len(parents)
    parents = np.where(np.isnan(parents), generator.random((n, d)), parents)
    scale = 10.0 ** generator.uniform(-2.5, -0.5, (n, 1))
    moved = np.clip(parents + scale * generator.standard_normal((n, d)), 0.0, 1.0)
    discrete = np.array([p.cells is not None for p in space.parameters])
    moved = np.where(discrete & (generator.random((n, d)) < 0.5), generator.random((n, d)), moved)
    changes = generator.random((n, d)) < max(0.2, min(1.0, 2.0 / d))
    changes[np.arange(n), generator.integers(d, size=n)] = True
    return np.where(changes, moved, parents)


def _refine(space: Space, function: AcquisitionFunction, latent: FloatArray, value: float) -> tuple[FloatArray, float]:
    for _ in range(ROUNDS):
        before = value
        latent, value = _climb(space, function, latent, value)
        latent, value = _local_search(space, function, latent, value)
        if value - before < 1e-4:
            break
    return latent, value


def _climb(space: Space, function: AcquisitionFunction, latent: FloatArray, value: float) -> tuple[FloatArray, float]:
    """L-BFGS-B over the active numbers. What is active stays so on the way; the end is kept only if it is better."""
    encoded = space.snap(latent[None, :])[0]
    coordinates = np.flatnonzero([_is_smooth(p) for p in space.parameters] & ~np.isnan(encoded))
    if len(coordinates) == 0:
        return latent, value

    def descend(u: FloatArray) -> tuple[float, FloatArray]:
        point = encoded.copy()
        point[coordinates] = u
        negated, slopes = function.with_slopes(point, coordinates)
        return -negated, -slopes

    start = encoded[coordinates]
    bounds = [(0.0, 1.0)] * len(start)
    result = minimize(descend, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    climbed = latent.copy()
    climbed[coordinates] = result.x
    return _better(space, function, latent, value, climbed[None, :])


def _local_search(
    space: Space, function: AcquisitionFunction, latent: FloatArray, value: float
) -> tuple[FloatArray, float]:
    """The best single change of a discrete parameter, again and again until none is better."""
    for _ in range(LOCAL_STEPS):
        changes = list(_single_changes(space, latent))
        if not changes:
            break
        before = value
        latent, value = _better(space, function, latent, value, np.array(changes))
        if value - before < 1e-6:
            break
    return latent, value


def _single_changes(space: Space, latent: FloatArray) -> Iterator[FloatArray]:
    encoded = space.snap(latent[None, :])[0]
    for j, p in enumerate(space.parameters):
        if p.cells is None or np.isnan(encoded[j]):
            continue
        here = int(p.cell(latent[j : j + 1])[0])
        near = range(p.cells) if not _is_smooth(p) else range(max(0, here - 2), min(p.cells, here + 3))
        for cell in near:
            if cell != here:
                changed = latent.copy()
                changed[j] = float(p.place(np.asarray(cell)))
                yield changed


def _better(
    space: Space, function: AcquisitionFunction, latent: FloatArray, value: float, others: FloatArray
) -> tuple[FloatArray, float]:
    """The best of ``others`` (n, d) if it beats ``value``, else ``latent``."""
    values = function(space.snap(others))
    best = int(np.argmax(values))
    return (others[best], float(values[best])) if values[best] > value else (latent, value)


def _is_smooth(p: Parameter) -> bool:
    return not isinstance(p, CategoricalParameter) and (p.cells is None or p.cells > SWEPT_CELLS)
