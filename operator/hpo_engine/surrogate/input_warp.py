"""Inputs stretched where the objective changes fast: w(u) = 1 - (1 - u^a)^b for each number, with a and b learnt.

The cumulative distribution function of Kumaraswamy's distribution: like the Beta distribution's that Snoek et al. 2014
("Input Warping for Bayesian Optimization of Non-Stationary Functions", section 3) use, but with a closed form.
a = b = 1 leaves everything as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpo_engine.parameters import FloatArray

EDGE = 1e-6
"""Coordinates are kept this far from 0 and 1, where slopes may be infinite."""


@dataclass(frozen=True)
class InputWarp:
    """``a`` and ``b`` (c,), one of each for every column."""

    a: FloatArray
    b: FloatArray

    def __call__(self, U: FloatArray) -> FloatArray:
        """w (n, c) of ``U`` (n, c)."""
        return np.asarray(1 - (1 - _inside(U) ** self.a) ** self.b)

    def slopes(self, U: FloatArray) -> FloatArray:
        """∂w/∂u (n, c)."""
        u = _inside(U)
        power = u**self.a
        return np.asarray(self.a * self.b * power / u * (1 - power) ** (self.b - 1))

    def by_logarithms(self, U: FloatArray) -> tuple[FloatArray, FloatArray]:
        """∂w/∂log a and ∂w/∂log b, both (n, c)."""
        u = _inside(U)
        power = u**self.a
        rest = 1 - power
        by_a = self.a * self.b * rest ** (self.b - 1) * power * np.log(u)
        return by_a, -self.b * rest**self.b * np.log(rest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InputWarp) and np.array_equal(self.a, other.a) and np.array_equal(self.b, other.b)

    __hash__ = None  # type: ignore[assignment]


def _inside(U: FloatArray) -> FloatArray:
    return np.clip(U, EDGE, 1 - EDGE)
