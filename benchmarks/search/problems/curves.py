"""Made learning curves, for objectives that have a final value only.

y(t) = final + (start - final) · g(t), where g falls from 1 before training to 0 at R as a power law,
g(t) ~ (1 + t / τ)^-1 shifted to end at 0. τ depends smoothly on the configuration and not on its final value, so curves
cross: some of the best start slowly. Where losses span orders of magnitude, the same happens to their logarithms.
Noise is added to every unit; it is drawn anew for each (configuration, run).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from hpo_engine.space import Space
from hpo_engine.trial import Parameters
from search.problems.base import FloatArray


@dataclass(frozen=True)
class MadeCurve:
    """``start``: the loss before training; ``noise``: standard deviation, of the loss or (``log``) of its logarithm."""

    name: str
    space: Space
    max_resource: int
    start: float
    noise: float
    log: bool = False

    def truth(self, parameters: Parameters, final: float) -> FloatArray:
        """(R,) without noise; ends at ``final``."""
        t = np.arange(1, self.max_resource + 1)
        tau = self.half_time(parameters)
        end = 1 / (1 + self.max_resource / tau)
        g = (1 / (1 + t / tau) - end) / (1 - end)
        if self.log:
            return np.asarray(np.exp(np.log(final) + (np.log(self.start) - np.log(final)) * g))
        return np.asarray(final + (self.start - final) * g)

    def observed(self, parameters: Parameters, final: float, seed: int) -> FloatArray:
        """(R,) with the noise of run ``seed``."""
        truth = self.truth(parameters, final)
        noise = self.noise * self._generator(parameters, seed).standard_normal(self.max_resource)
        return truth * np.exp(noise) if self.log else truth + noise

    def half_time(self, parameters: Parameters) -> float:
        """τ, between a half and a third of R: a smooth function of the configuration's place in the unit cube."""
        u = np.nan_to_num(self.space.encode(parameters), nan=0.5)
        wave = np.random.default_rng(_digest(self.name))
        q = 0.5 + 0.5 * np.sin(u @ (2 * wave.standard_normal(len(u))) + wave.uniform(0, 2 * np.pi))
        return float(0.5 * (self.max_resource / 1.5) ** q)

    def _generator(self, parameters: Parameters, seed: int) -> np.random.Generator:
        return np.random.default_rng([seed, _digest(self.name + self.space.key(parameters))])


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
