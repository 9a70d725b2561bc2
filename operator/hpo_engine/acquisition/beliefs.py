"""What the user believes of the best configuration, as a factor of the acquisition function that fades with the trials.

πBO (Hvarfner et al. 2022, "πBO: Augmenting Acquisition Functions with User Beliefs", eq. 6): α(x) π(x)^(β/n), so that
a wrong belief costs some trials at the beginning and nothing in the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from hpo_engine.parameters import CategoricalParameter, FloatArray, Parameter
from hpo_engine.prior_knowledge import Belief
from hpo_engine.space import Space


@dataclass(frozen=True)
class Beliefs:
    """log π, at most 0: for numbers normal around the value, for categoricals the choice's odds; 0 where inactive."""

    space: Space
    beliefs: tuple[Belief, ...]

    def __call__(self, points: FloatArray) -> FloatArray:
        """Values (n,) at encoded ``points`` (n, d)."""
        return self.slopes(points)[0]

    def slopes(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values (n,) and slopes (n, d) at encoded ``points`` (n, d); 0 for what is categorical or inactive."""
        values, slopes = np.zeros(len(points)), np.zeros(points.shape)
        for belief in self.beliefs:
            j, p = self._find(belief)
            on, u = ~np.isnan(points[:, j]), np.nan_to_num(points[:, j], nan=0.5)
            if isinstance(p, CategoricalParameter):
                odds = belief.spread / max(p.cells - 1, 1) / (1 - belief.spread)
                other = p.cell(u) != p.choices.index(str(belief.value))
                values += np.where(on & other, min(np.log(odds), 0.0), 0.0)
            else:
                z = (u - p.encode(belief.value)) / belief.spread
                values -= np.where(on, 0.5 * z**2, 0.0)
                slopes[:, j] -= np.where(on, z / belief.spread, 0.0)
        return values, slopes

    def placed(self, latent: FloatArray) -> FloatArray:
        """A uniform latent point (d,) moved so that it is distributed as believed; still within the unit cube."""
        moved = latent.copy()
        for belief in self.beliefs:
            j, p = self._find(belief)
            if isinstance(p, CategoricalParameter):
                stays = latent[j] < 1 - belief.spread
                moved[j] = p.encode(belief.value) if stays else (latent[j] - 1 + belief.spread) / belief.spread
            else:
                centre = p.encode(belief.value)
                low, high = ndtr(-centre / belief.spread), ndtr((1 - centre) / belief.spread)
                moved[j] = np.clip(centre + belief.spread * ndtri(low + latent[j] * (high - low)), 0.0, 1.0)
        return moved

    def _find(self, belief: Belief) -> tuple[int, Parameter]:
        return next((j, p) for j, p in enumerate(self.space.parameters) if p.name == belief.parameter)
