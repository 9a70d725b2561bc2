"""The data that every method is given: 8 numbers in [0, 1], a loss with many valleys and some noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIMENSION = 8
SIZES = (100, 300, 1000, 3000, 10_000)

Points = NDArray[np.float64]


def points(n: int, seed: int = 0) -> Points:
    """(n, 8): the first half anywhere, the second near a good place, as a search would have left them."""
    generator = np.random.default_rng(seed)
    anywhere = generator.random((n, DIMENSION))
    near = np.clip(0.4 + 0.15 * generator.standard_normal((n, DIMENSION)), 0.0, 1.0)
    return np.where((np.arange(n) < n // 2)[:, None], anywhere, near)


def losses(X: Points) -> Points:
    """(n,) for points (n, 8); the noise is a function of the point."""
    bowl = ((X - 0.4) ** 2 * np.arange(1, DIMENSION + 1)).sum(axis=1)
    noise = np.modf(np.abs(np.sin(X @ (12.9898 + np.arange(DIMENSION))) * 43758.5453))[0] - 0.5
    return np.asarray(bowl + 0.3 * np.sin(9 * X).sum(axis=1) + 0.15 * noise)
