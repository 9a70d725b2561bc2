"""All configurations that differ from a given one in one discrete parameter, for many given ones at once."""

from __future__ import annotations

import numpy as np

from hpo_engine.parameters import CategoricalParameter, FloatArray, IntArray, Parameter
from hpo_engine.space import Space

SWEPT_CELLS = 16
"""A number with more cells than this is refined as if it were continuous, then tried a few cells to either side."""
TO_EITHER_SIDE = 2


def single_changes(space: Space, latent: FloatArray) -> tuple[IntArray, FloatArray]:
    """Which of the ``latent`` points (s, d) was changed (c,), and the changed latent points (c, d).

    Every other cell of a parameter with few cells or categories, the nearest cells of the others; active ones only.
    """
    encoded = space.snap(latent)
    owners, changed = [np.empty(0, dtype=np.int64)], [np.empty((0, latent.shape[1]))]
    for j, p in enumerate(space.parameters):
        if p.cells is None:
            continue
        here = p.cell(np.clip(latent[:, j], 0.0, 1.0))
        cells = here[:, None] + _offsets(p) if is_smooth(p) else np.tile(np.arange(p.cells), (len(latent), 1))
        wanted = (cells >= 0) & (cells < p.cells) & (cells != here[:, None]) & ~np.isnan(encoded[:, j])[:, None]
        owner, place = np.nonzero(wanted)
        points = latent[owner]
        points[:, j] = p.place(cells[owner, place])
        owners.append(owner)
        changed.append(points)
    return np.concatenate(owners), np.vstack(changed)


def is_smooth(p: Parameter) -> bool:
    """Whether the parameter is climbed along, not searched cell by cell."""
    return not isinstance(p, CategoricalParameter) and (p.cells is None or p.cells > SWEPT_CELLS)


def _offsets(p: Parameter) -> IntArray:
    return np.array([o for o in range(-TO_EITHER_SIDE, TO_EITHER_SIDE + 1) if o != 0])
