"""Where the acquisition function is largest, over mixed and conditional spaces, without repeating a configuration.

A broad pool (a shifted Sobol set, and mutations of the best configurations so far) is valued at once. The best of it
are refined together, in turns: numbers by climbing with analytic slopes, everything discrete by steepest local search
over all single changes. Finite spaces are valued completely instead, as long as that costs no more than ENTIRELY.
The generator is the only source of chance.

With more than EXACT observations pool and climbs see exact means, but standard deviations by a part of the data around
where they are; what they find is then valued exactly.

"Latent" points (d,) have a coordinate for every parameter, active or not, so that a change of a parent finds values for
the children it brings to life; "encoded" points have NaN there, as the kernel wants.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hpo_engine.acquisition.ascent import Slopes, ascend
from hpo_engine.acquisition.choice import Choice
from hpo_engine.acquisition.functions import AcquisitionFunction, Batched
from hpo_engine.acquisition.single_changes import is_smooth, single_changes
from hpo_engine.acquisition.whole_space import best_of_space
from hpo_engine.low_discrepancy import sobol_points
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.space import Space
from hpo_engine.surrogate.posterior import Thinned

__all__ = ["Choice", "latent_pool", "maximise"]

COMPLETE = 512
"""Finite spaces of at most this many configurations are always valued completely."""
ENTIRELY = 10**9
"""Multiplications that a complete valuation may cost, n² + 100 n for each configuration: 0.1 to 0.2 s."""
SOBOL_POINTS = 512
MUTANTS_PER_ANCHOR = 48
STARTS = 8
HOPELESS = 1.0
"""Refining gains less than this in nearly all cases: a factor of e in expected improvement."""
APART = 0.05
"""Squared distance, in length scales, that starts keep from each other as long as others are left."""
EXACT = 512
"""Above so many observations deviations are by a part of them while searching."""
PART, SMALLEST_PART, LARGEST_PART = 8, 128, 384
"""One in PART observations near where one looks, and as many spread over all."""
ROUNDS = 4
LOCAL_STEPS = 12


def maximise(
    space: Space,
    function: AcquisitionFunction,
    used: Collection[str],
    anchors: FloatArray,
    generator: np.random.Generator,
    starts: int = STARTS,
    rival: float = -np.inf,
) -> Choice | None:
    """The unused configuration of the largest value that was found; None when the pool holds used ones only, or nothing
    that could come near the value of a ``rival``.

    ``anchors`` (k, d): encoded points worth a look around, best first. ``used``: keys that may not come back. At most
    ``starts`` places are refined.
    """
    if _is_listed(space, len(function.posterior.X)):
        return best_of_space(space, function, used)
    pool = latent_pool(space, anchors, generator)
    points = space.snap(pool)
    values = _near(function, anchors)(points)
    order = np.argsort(-values, kind="stable")
    if values[order[0]] < rival - HOPELESS:
        return None
    first = order[:starts] if len(function.posterior.X) == 0 else _starts(function, points, order, starts)
    ends, _ = _refined(space, _near(function, points[first]), pool[first], values[first])
    if len(function.posterior.X) > EXACT:
        ends, _ = _refined(space, _near(function, space.snap(ends)), ends, None)
        ends = np.vstack([ends, pool[first[:2]]])
    # valued as they would be suggested: numbers are rounded on the way
    end_values = function(np.array([space.encode(space.decode(latent)) for latent in ends]))
    ends = ends[np.argsort(-end_values, kind="stable")]
    for latent in (*ends, *pool[order]):
        parameters = space.decode(latent)
        if space.key(parameters) not in used:
            encoded = space.encode(parameters)
            return Choice(parameters, encoded, float(function(encoded[None, :])[0]))
    return None


def _is_listed(space: Space, n: int) -> bool:
    size = space.size()
    return size is not None and (size <= COMPLETE or size * (n * n + 100 * n) <= ENTIRELY)


def _near(function: AcquisitionFunction, places: FloatArray) -> AcquisitionFunction:
    """The function itself, or with many data a cheaper one that is good around ``places`` (k, d)."""
    if len(function.posterior.X) <= EXACT or not isinstance(function, Batched):
        return function
    size = min(max(len(function.posterior.X) // PART, SMALLEST_PART), LARGEST_PART)
    return function.under(Thinned.around(function.posterior, places, size))


def _starts(function: AcquisitionFunction, points: FloatArray, order: IntArray, count: int) -> IntArray:
    """The best of the pool, but no two in the same place as long as there are others."""
    best = order[: 8 * count]
    near = function.posterior.kernel.r2(points[best], points[best]) < APART
    chosen: list[int] = []
    for i in range(len(best)):
        if len(chosen) < count and not near[i, chosen].any():
            chosen.append(i)
    rest = [i for i in range(len(best)) if i not in set(chosen)]
    return best[sorted(chosen + rest[: count - len(chosen)])]


def latent_pool(space: Space, anchors: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Latent points (n, d) all over the space, and near the anchors."""
    everywhere = (_sobol(space.dimension) + generator.random(space.dimension)) % 1.0
    return np.vstack([everywhere, _mutants(space, anchors, generator)])


@lru_cache(maxsize=16)
def _sobol(dimension: int) -> FloatArray:
    """Points (SOBOL_POINTS, dimension); a shift around the torus keeps their uniformity (Cranley & Patterson 1976)."""
    points = sobol_points(dimension, SOBOL_POINTS)
    points.setflags(write=False)
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


def _refined(
    space: Space, function: AcquisitionFunction, latent: FloatArray, values: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Latent points (s, d) that are at least as good as the given ones, and their values (s,)."""
    values = function(space.snap(latent)) if values is None else values
    discrete = any(p.cells is not None for p in space.parameters)
    for _ in range(ROUNDS if discrete else 1):
        before = values
        latent, values = _climb(space, function, latent, values)
        if discrete:
            latent, values = _local_search(space, function, latent, values)
        if np.max(values - before) < 1e-4:
            break
    return latent, values


def _climb(
    space: Space, function: AcquisitionFunction, latent: FloatArray, values: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Over the active numbers. What is active stays so on the way; an end is kept only if it is better."""
    encoded = space.snap(latent)
    free = np.array([is_smooth(p) for p in space.parameters]) & ~np.isnan(encoded)
    if not free.any():
        return latent, values
    scale = np.minimum(function.posterior.kernel.lengthscales, 1.0)
    ends, _ = ascend(_slopes(function, free), encoded, free, scale)
    ends = np.where(free, ends, latent)
    return _better(latent, values, ends, function(space.snap(ends)))


def _slopes(function: AcquisitionFunction, free: NDArray[np.bool_]) -> Slopes:
    """Values (s,) and slopes (s, d) at encoded points (s, d), point by point where the function knows no better."""
    if isinstance(function, Batched):
        return function.slopes

    def one_by_one(points: FloatArray) -> tuple[FloatArray, FloatArray]:
        values, slopes = np.empty(len(points)), np.zeros(points.shape)
        for i, point in enumerate(points):
            coordinates = np.flatnonzero(free.any(axis=0) & ~np.isnan(point))
            values[i], slopes[i, coordinates] = function.with_slopes(point, coordinates)
        return values, slopes

    return one_by_one


def _local_search(
    space: Space, function: AcquisitionFunction, latent: FloatArray, values: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The best single change of a discrete parameter, again and again until none is better."""
    latent, values = latent.copy(), values.copy()
    alive = np.arange(len(latent))
    for _ in range(LOCAL_STEPS):
        owner, changed = single_changes(space, latent[alive])
        if len(changed) == 0:
            break
        found = np.full((len(alive), len(changed)), -np.inf)
        found[owner, np.arange(len(changed))] = function(space.snap(changed))
        best, before = np.argmax(found, axis=1), values[alive]
        latent[alive], values[alive] = _better(latent[alive], before, changed[best], found.max(axis=1))
        alive = alive[values[alive] - before >= 1e-6]
        if len(alive) == 0:
            break
    return latent, values


def _better(
    latent: FloatArray, values: FloatArray, others: FloatArray, other_values: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Of each pair the better one; the first unless the second is greater."""
    wins = other_values > values
    return np.where(wins[:, None], others, latent), np.where(wins, other_values, values)
