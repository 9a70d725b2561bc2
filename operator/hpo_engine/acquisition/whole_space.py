"""The best of a whole finite space: every configuration valued, a block at a time.

What the search of the ISBI 2017 paper on field-of-view classification does (sections 2.2 and 2.3.2: "the whole
hyper-parameters space can be entirely covered"). Memory is that of one block, whatever the size of the space.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from hpo_engine.acquisition.choice import Choice
from hpo_engine.acquisition.functions import AcquisitionFunction
from hpo_engine.enumeration import BLOCK, Enumeration
from hpo_engine.space import Space


def best_of_space(
    space: Space, function: AcquisitionFunction, used: Collection[str], block: int = BLOCK
) -> Choice | None:
    """The unused configuration of the largest value, of equal ones the first; None: every configuration was used.

    ``used``: keys of configurations that may not come back. A value that is NaN is worse than every number.

    Raises:
        ValueError: the space is not finite.
    """
    enumeration = Enumeration(space)
    taken = enumeration.numbers_of_keys(used)
    best: tuple[float, int] | None = None
    for first, points in enumeration.blocks(block):
        free = np.ones(len(points), dtype=bool)
        here = taken[np.searchsorted(taken, first) : np.searchsorted(taken, first + len(points))]
        free[here - first] = False
        if not free.any():
            continue
        values = function(points)
        values = np.where(np.isnan(values), -np.inf, values)
        candidates = np.flatnonzero(free)
        place = int(candidates[np.argmax(values[candidates])])
        if best is None or values[place] > best[0]:
            best = float(values[place]), first + place
    if best is None:
        return None
    value, number = best
    parameters = enumeration.configuration(number)
    return Choice(parameters, space.encode(parameters), value)
