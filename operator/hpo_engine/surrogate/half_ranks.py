"""Losses with distances where they matter, and ranks elsewhere.

How much better than the median a loss is, is what the search is about; how much worse, is not. So the better half keeps
its distances, and of the worse half only the order counts: it gets the normal scores that its ranks would have. One
diverged run, or a plateau where most configurations learn nothing, then rules no length scale. This is the half-rank
warping of Google Vizier (Song et al. 2024, "The Vizier Gaussian Process Bandit Algorithm", section 3.2). It is
monotone, so the order of the trials never changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate.power_transform import fence


@dataclass(frozen=True)
class HalfRanks:
    """``forward`` from losses to standardised outputs, ``inverse`` back.

    Below ``centre`` outputs are (loss - centre) / ``spread``, above they interpolate between ``knots`` (k,) with the
    ascending ``scores`` (k,); then ``mean`` and ``sd`` standardise them. What is worse than the worst comes back as it.
    """

    centre: float
    spread: float
    knots: FloatArray
    scores: FloatArray
    mean: float
    sd: float

    def forward(self, losses: FloatArray) -> FloatArray:
        return (self._warped(losses) - self.mean) / self.sd

    def inverse(self, outputs: FloatArray) -> FloatArray:
        z = outputs * self.sd + self.mean
        return np.where(z <= 0, z * self.spread + self.centre, np.interp(z, self.scores, self.knots))

    def _warped(self, losses: FloatArray) -> FloatArray:
        below = (np.minimum(losses, self.centre) - self.centre) / self.spread
        return below + np.interp(losses, self.knots, self.scores)


def fit_half_ranks(losses: FloatArray) -> HalfRanks:
    """The transform for finite ``losses`` (n,), n >= 1. Equal losses all become 0."""
    centre = float(np.median(losses))
    good = losses[losses <= centre]
    spread = float(np.sqrt(np.mean((good - centre) ** 2)))
    if not spread > 1e-12 * max(1e-300, float(np.max(np.abs(good)))):  # half of all trials are equally good
        spread = float(np.std(np.minimum(losses, fence(losses)))) or 1.0
    knots, scores = _ranked(losses, centre)
    plain = HalfRanks(centre, spread, knots, scores, 0.0, 1.0)
    warped = plain.forward(losses)
    sd = float(np.std(warped))
    return HalfRanks(centre, spread, knots, scores, float(np.mean(warped)), sd if sd > 0 else 1.0)


def _ranked(losses: FloatArray, centre: float) -> tuple[FloatArray, FloatArray]:
    """The different losses above ``centre`` with their normal scores, after the centre itself with 0."""
    worse, counts = np.unique(losses, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal losses
    above = worse > centre
    scores = ndtri((ranks[above] - 0.5) / len(losses))
    return np.concatenate([[centre], worse[above]]), np.concatenate([[0.0], scores])
