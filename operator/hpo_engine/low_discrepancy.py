"""Sobol points, and how even points are, both as scipy has them.

``scipy.stats`` is imported by the first call: it is the largest of the engine's imports, and a process that serves
studies may not need it for a long time.
"""

from __future__ import annotations

import numpy as np

from hpo_engine.parameters import FloatArray


def sobol_points(dimension: int, count: int, generator: np.random.Generator | None = None, skip: int = 0) -> FloatArray:
    """Points (count, dimension) in [0, 1), after the first ``skip`` of the sequence (Sobol 1967).

    ``generator`` scrambles (Matoušek's linear matrix scramble with a digital shift); None: not at all.
    """
    from scipy.stats import qmc

    sequence = qmc.Sobol(dimension, scramble=generator is not None, rng=generator)
    if skip > 0:  # scipy refuses to skip nothing
        sequence.fast_forward(skip)
    points: FloatArray = sequence.random(count)
    return points


def centred_discrepancy(points: FloatArray) -> float:
    """The centred L2 discrepancy (Hickernell 1998) of points (n, d) in [0, 1]; less is more even."""
    from scipy.stats import qmc

    return float(qmc.discrepancy(points, method="CD"))
