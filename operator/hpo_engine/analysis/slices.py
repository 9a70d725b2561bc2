"""What the GP believes, one parameter at a time: a mean and how sure it is of it.

At the best configuration the one parameter changes and all others stay: what a change of it alone would bring. Over
the whole space the one parameter is held and the others are averaged: whether it matters in general. Both are taken
where the parameter exists; a parameter that the best configuration does not have has no slice there.

Averages and standard deviations are those of the model's outputs, taken back to the objective's units at the end; as
that is a monotone map, ``middle`` is a median of beliefs rather than their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpo_engine.analysis.belief import Belief
from hpo_engine.low_discrepancy import sobol_points
from hpo_engine.parameters import CategoricalParameter, FloatArray, Parameter
from hpo_engine.trial import Value

PLACES = 17
"""On the axis of a parameter with more values than that, or a continuum; odd, so that the middle is one of them."""
OTHERS = 128
"""Configurations of the other parameters that a marginal averages over."""
UNBORN = 0.5
"""The coordinate of a parameter that a slice brings to life: the middle of its range."""


@dataclass(frozen=True)
class Slice:
    """Beliefs at ``values`` of one parameter: (m,) arrays in the objective's units, low <= middle <= high.

    ``low`` and ``high`` are one standard deviation of the belief to either side, without the noise of a measurement.
    """

    values: tuple[Value, ...]
    middle: FloatArray
    low: FloatArray
    high: FloatArray


def slices_at_best(belief: Belief) -> dict[str, Slice]:
    """Through ``belief.best``, by the names of the parameters that exist there."""
    space, best = belief.study.space, belief.best
    slices = {}
    for j, parameter in enumerate(space.parameters):
        if np.isnan(best[j]):
            continue
        places, values = axis(parameter)
        latent = np.tile(np.where(np.isnan(best), UNBORN, best), (len(places), 1))
        latent[:, j] = places
        mean, sd = belief.posterior.predict(space.snap(latent))
        slices[parameter.name] = _slice(belief, values, mean, sd)
    return slices


def marginal_slices(belief: Belief) -> dict[str, Slice]:
    """Averages over the same fixed Sobol set of the other parameters at every place, of those where it exists.

    The standard deviation is that of the average, with all its correlations.
    """
    space = belief.study.space
    others = sobol_points(space.dimension, OTHERS, np.random.Generator(np.random.PCG64(0)))
    slices = {}
    for j, parameter in enumerate(space.parameters):
        places, values = axis(parameter)
        moments = [_average(belief, others, j, place) for place in places]
        if all(moment is not None for moment in moments):
            mean, sd = np.array([moment for moment in moments if moment is not None]).T
            slices[parameter.name] = _slice(belief, values, mean, sd)
    return slices


def axis(parameter: Parameter) -> tuple[FloatArray, tuple[Value, ...]]:
    """Places (m,) in [0, 1] and the values there: all of a few, PLACES of many. Names are always taken one by one."""
    cells = parameter.cells
    if cells is not None and (cells <= PLACES or isinstance(parameter, CategoricalParameter)):
        places = parameter.place(np.arange(cells))
    elif cells is not None:
        places = np.unique(parameter.place(parameter.cell(np.linspace(0, 1, PLACES))))
    else:
        places = np.linspace(0, 1, PLACES)
    return places, tuple(parameter.decode(float(place)) for place in places)


def _average(belief: Belief, others: FloatArray, j: int, place: float) -> tuple[float, float] | None:
    """Mean and sd of the average with coordinate ``j`` at ``place``; None: it exists in none of the ``others``."""
    latent = others.copy()
    latent[:, j] = place
    points = belief.study.space.snap(latent)
    points = points[~np.isnan(points[:, j])]
    if len(points) == 0:
        return None
    mean, covariance = belief.posterior.joint(points)
    return float(np.mean(mean)), float(np.mean(covariance).clip(min=0.0)) ** 0.5


def _slice(belief: Belief, values: tuple[Value, ...], mean: FloatArray, sd: FloatArray) -> Slice:
    ends = belief.values(mean - sd), belief.values(mean + sd)
    return Slice(values, belief.values(mean), np.minimum(*ends), np.maximum(*ends))


def best_value(found: Slice, maximize: bool) -> Value:
    """The value of the parameter whose ``middle`` is best; of equal ones the first."""
    return found.values[int(np.argmax(found.middle) if maximize else np.argmin(found.middle))]
