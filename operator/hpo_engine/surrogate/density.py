"""A kernel density over mixed and conditional spaces, from which one can draw: what TPE compares good and bad with.

    p(x) = 1/n Σ_i Π_j k_j(x_j | x_ij),  the product over the parameters j that are active in x.

One kernel for each kind of parameter, each a distribution of its own:

numbers       a Gaussian around x_ij, truncated to [0, 1]; discrete ones get its mass over their cell. The bandwidth is
              Scott's rule, h = 1.06 σ n^(-1/(4+d)) (Scott 1992, eq. 6.42), as in Falkner et al. 2018, "BOHB",
              section 3.2, but never less than MIN_BANDWIDTH nor than a quarter of a cell.
categoricals  1 - λ on the choice itself, λ/(c-1) on each of the others (Aitchison & Aitken 1976, eq. 2). With
              λ = (c-1)/(n+c) a single parameter's density is Laplace's rule of succession, (n_k + 1)/(n + c).
inactive      where x_ij does not exist the kernel is uniform: that trial says nothing about the parameter.

Parents are chosen before their children, and whether a child exists follows from its parent, so the product sums to 1
over all configurations of a conditional space.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import log_ndtr, logsumexp, ndtr, ndtri

from hpo_engine.parameters import CategoricalParameter, FloatArray, Parameter
from hpo_engine.space import Space

MIN_BANDWIDTH = 1e-3
UNIFORM_SD = 12**-0.5
THIN = 1e-5
"""Where an interval is that thin in units of the bandwidth, its mass is its width times the density in its middle."""


@dataclass(frozen=True)
class Density:
    """The kernel density of ``centres`` (n, d), n >= 1: encodings, NaN where inactive."""

    space: Space
    centres: FloatArray

    def log(self, points: FloatArray) -> FloatArray:
        """log p (m,) at encoded ``points`` (m, d); for numbers with cells the log of a mass."""
        total = np.zeros((len(points), len(self.centres)))
        for j, p in enumerate(self.space.parameters):
            total += _log_kernel(p, points[:, j], self.centres[:, j], self._bandwidths[j])
        return np.asarray(logsumexp(total, axis=1) - np.log(len(self.centres)))

    def draw(self, count: int, factor: float, generator: np.random.Generator) -> FloatArray:
        """Latent points (count, d), every coordinate a number, with all bandwidths ``factor`` times as large."""
        chosen = self.centres[generator.integers(len(self.centres), size=count)]
        chance = generator.random((count, len(self._bandwidths)))
        drawn = chance.copy()  # stays where the parameter was inactive: uniform
        for j, p in enumerate(self.space.parameters):
            on = ~np.isnan(chosen[:, j])
            drawn[on, j] = _draw(p, chosen[on, j], factor * self._bandwidths[j], chance[on, j])
        return drawn

    @cached_property
    def _bandwidths(self) -> FloatArray:
        """h or λ of each parameter (d,)."""
        n, d = self.centres.shape
        return np.array([_bandwidth(p, self.centres[:, j], n, d) for j, p in enumerate(self.space.parameters)])


def _bandwidth(p: Parameter, centres: FloatArray, n: int, d: int) -> float:
    known = centres[~np.isnan(centres)]
    if isinstance(p, CategoricalParameter):
        return (p.cells - 1) / (len(known) + p.cells)
    sd = float(np.std(known)) if len(known) >= 2 else UNIFORM_SD
    scott = 1.06 * sd * float(n ** (-1 / (4 + d)))
    return max(scott, MIN_BANDWIDTH, 0.25 / p.cells if p.cells else 0.0)


def _log_kernel(p: Parameter, x: FloatArray, centres: FloatArray, bandwidth: float) -> FloatArray:
    """log k (m, n) at coordinates ``x`` (m,); 0 where ``x`` is inactive."""
    at, around = np.nan_to_num(x, nan=0.5)[:, None], np.nan_to_num(centres, nan=0.5)[None, :]
    if isinstance(p, CategoricalParameter):
        same = p.cell(at) == p.cell(around)
        others = max(p.cells - 1, 1)
        kernel = np.log(np.where(same, 1 - bandwidth, bandwidth / others if bandwidth > 0 else 1.0))
        uniform = np.full_like(at, -np.log(p.cells))
    else:
        low, high = (at, at) if p.cells is None else p.edges(p.cell(at))
        kernel = _log_mass(low, high, around, bandwidth) - _log_mass(
            0.0 * around, 1.0 + 0.0 * around, around, bandwidth
        )
        uniform = np.zeros_like(at) if p.cells is None else np.log(high - low)
    kernel = np.where(np.isnan(centres)[None, :], uniform, kernel)
    return np.where(np.isnan(x)[:, None], 0.0, kernel)


def _log_mass(low: FloatArray, high: FloatArray, centre: FloatArray, bandwidth: float) -> FloatArray:
    """Log of the Gaussian's mass between ``low`` and ``high``; of its density where they are equal."""
    a, b = (low - centre) / bandwidth, (high - centre) / bandwidth
    middle, width = (a + b) / 2, b - a
    density = -0.5 * middle**2 - 0.5 * np.log(2 * np.pi)
    thin = density + np.where(high > low, np.log(np.maximum(width, 1e-300)), -np.log(bandwidth))
    mirrored = middle > 0  # both ends in the left tail, where log Φ is exact
    left, right = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    top = log_ndtr(right)
    difference = np.log(-np.expm1(np.minimum(log_ndtr(left) - top, -1e-300)))
    return np.asarray(np.where(width > THIN, top + difference, thin))


def _draw(p: Parameter, centres: FloatArray, bandwidth: float, chance: FloatArray) -> FloatArray:
    """Coordinates around ``centres``, both (m,), by the uniform ``chance`` (m,)."""
    if isinstance(p, CategoricalParameter):
        moves = min(bandwidth, 1 - 1 / p.cells)
        if moves <= 0:
            return centres
        step = 1 + np.floor(np.minimum(chance / moves, 1 - 1e-12) * (p.cells - 1))
        return np.where(chance < moves, p.place((p.cell(centres) + step.astype(np.int64)) % p.cells), centres)
    low, high = ndtr(-centres / bandwidth), ndtr((1 - centres) / bandwidth)
    return np.clip(centres + bandwidth * ndtri(low + chance * (high - low)), 0.0, 1.0)
