"""Losses as the surrogate wants them: roughly normal, mean 0, variance 1, whatever they are.

Two monotone transforms compete. A power transform keeps all distances, and serves losses that vary smoothly. Where it
leaves losses far from normal, as where most configurations learn nothing and lie on a plateau, or many diverge, the
distances among the bad ones would rule the length scales: there only the better half keeps its distances. How near to
normal is told by the correlation with the normal scores (Filliben 1975, "The Probability Plot Correlation Coefficient
Test for Normality").
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.special import ndtri

from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate.half_ranks import fit_half_ranks
from hpo_engine.surrogate.power_transform import fit_power

ENOUGH_FOR_RANKS = 8
"""With fewer values ranks say too little."""
NEAR_NORMAL = 0.9
"""Smooth test functions have 0.91 to 1, training losses with plateaus 0.6 to 0.9."""


class OutputTransform(Protocol):
    """``forward`` from losses to standardised outputs, ``inverse`` back; what was clipped comes back as the limit."""

    def forward(self, losses: FloatArray) -> FloatArray: ...

    def inverse(self, outputs: FloatArray) -> FloatArray: ...


def fit_outputs(losses: FloatArray) -> OutputTransform:
    """The transform for finite ``losses`` (n,), n >= 1. Equal losses all become 0."""
    power = fit_power(losses)
    if len(losses) < ENOUGH_FOR_RANKS or normality(power.forward(losses)) >= NEAR_NORMAL:
        return power
    return fit_half_ranks(losses)


def normality(outputs: FloatArray) -> float:
    """The correlation of the ordered ``outputs`` (n,) with normal scores; 1 where all are equal."""
    if np.ptp(outputs) == 0:
        return 1.0
    n = len(outputs)
    scores = ndtri((np.arange(1, n + 1) - 0.5) / n)
    return float(np.corrcoef(np.sort(outputs), scores)[0, 1])
