"""Losses made roughly normal by a power transform, and never ruled by a diverged run.

Three steps, each monotone, so that the order of the trials never changes:

1. Values far on the bad side are clipped: how bad a diverged run is does not matter, that it is bad does. The fence
   stands as far above the median as RATIO times the distance from the best value to the median.
2. A Yeo-Johnson power transform with the λ of maximum likelihood takes out what skewness remains (Yeo & Johnson 2000,
   eq. 2.1; Cowen-Rivers et al. 2022, "HEBO", use it to the same end). λ stays within [0, 2], where the transform
   reaches every real number, so predictions can always be taken back.
3. Standardisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from hpo_engine.parameters import FloatArray

RATIO = 3.0
ENOUGH_FOR_POWER = 6
"""With fewer values λ is noise, and stays 1: no power transform."""
SMALLEST_POWER = 1e-12
LAMBDA_SD = 1.0
"""λ is believed to be 1, give or take this much."""


@dataclass(frozen=True)
class PowerTransform:
    """``forward`` from losses to standardised outputs, ``inverse`` back (clipped values come back as the fence)."""

    fence: float
    centre: float
    spread: float
    power: float
    mean: float
    sd: float

    def forward(self, losses: FloatArray) -> FloatArray:
        scaled = (np.minimum(losses, self.fence) - self.centre) / self.spread
        return (yeo_johnson(scaled, self.power) - self.mean) / self.sd

    def inverse(self, outputs: FloatArray) -> FloatArray:
        scaled = inverse_yeo_johnson(outputs * self.sd + self.mean, self.power)
        return scaled * self.spread + self.centre


def fit_power(losses: FloatArray) -> PowerTransform:
    """The transform for finite ``losses`` (n,), n >= 1. Equal losses all become 0."""
    limit = fence(losses)
    clipped = np.minimum(losses, limit)
    centre, spread = float(np.mean(clipped)), float(np.std(clipped))
    if not spread > 1e-12 * max(1e-300, float(np.max(np.abs(clipped)))):
        return PowerTransform(limit, centre, 1.0, 1.0, 0.0, 1.0)
    scaled = (clipped - centre) / spread
    power = _likeliest_power(scaled) if len(losses) >= ENOUGH_FOR_POWER else 1.0
    outputs = yeo_johnson(scaled, power)
    return PowerTransform(limit, centre, spread, power, float(np.mean(outputs)), float(np.std(outputs)))


def yeo_johnson(x: FloatArray, power: float) -> FloatArray:
    """Element by element; ``power`` λ in [0, 2]."""
    up = _box_cox(np.log1p(np.maximum(x, 0.0)), power)
    down = -_box_cox(np.log1p(-np.minimum(x, 0.0)), 2.0 - power)
    return np.asarray(up + down)


def inverse_yeo_johnson(y: FloatArray, power: float) -> FloatArray:
    """The x of ``yeo_johnson(x, power)``."""
    up = np.expm1(_inverse_box_cox(np.maximum(y, 0.0), power))
    down = -np.expm1(_inverse_box_cox(-np.minimum(y, 0.0), 2.0 - power))
    return np.asarray(up + down)


def _box_cox(logs: FloatArray, power: float) -> FloatArray:
    """(t^λ - 1) / λ of t = exp(``logs``): log t where λ is so small that products with it lose their digits."""
    return logs if power < SMALLEST_POWER else np.asarray(np.expm1(power * logs) / power)


def _inverse_box_cox(y: FloatArray, power: float) -> FloatArray:
    """The ``logs`` of ``_box_cox``."""
    return y if power < SMALLEST_POWER else np.asarray(np.log1p(power * y) / power)


def fence(losses: FloatArray) -> float:
    """Where losses are clipped."""
    best, median, worst = (float(q) for q in np.quantile(losses, (0.0, 0.5, 1.0)))
    reach = median - best
    return min(worst, median + RATIO * reach) if reach > 0 else worst


def _likeliest_power(scaled: FloatArray) -> float:
    """λ of the largest profile likelihood (Yeo & Johnson 2000, eq. 3.1), rounded so that noise cannot move it."""
    jacobian = float(np.sum(np.sign(scaled) * np.log1p(np.abs(scaled))))

    def cost(power: float) -> float:
        variance = float(np.var(yeo_johnson(scaled, power)))
        likelihood = -0.5 * len(scaled) * np.log(variance) + (power - 1.0) * jacobian
        return float(-likelihood + 0.5 * ((power - 1.0) / LAMBDA_SD) ** 2)

    return round(float(minimize_scalar(cost, bounds=(0.0, 2.0), method="bounded", options={"xatol": 1e-4}).x), 3)
