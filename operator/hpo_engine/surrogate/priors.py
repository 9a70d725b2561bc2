"""Prior beliefs on the hyperparameters, for outputs that were standardised and inputs in the unit cube.

Each is a normal distribution of the logarithm, centred on the mode of the log-normal that is named. With few trials the
prior decides: length scales grow with √d, so that a high-dimensional space is not believed to be noise (Hvarfner et al.
2024, "Vanilla Bayesian Optimization Performs Great in High Dimensions", eq. 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from hpo_engine.parameters import FloatArray


@dataclass(frozen=True)
class Priors:
    """Means and standard deviations (p,) over θ = (log ℓ_1..d, log σ_f², log σ_n², m), and the box to search."""

    mean: FloatArray
    sd: FloatArray
    low: FloatArray
    high: FloatArray

    def penalty(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """The negative log density up to a constant, and its gradient (p,)."""
        z = (theta - self.mean) / self.sd
        return float(0.5 * z @ z), z / self.sd


def default_priors(dimension: int) -> Priors:
    """ℓ: log-normal(√2 + ½ log d, √3); σ_f²: around 1; σ_n²: log-normal(-4, 1), no less than 1e-6; m: normal(0, 1)."""
    lengthscale = (sqrt(2) + 0.5 * log(dimension) - 3.0, sqrt(3), log(1e-2), log(1e2))
    rows = [lengthscale] * dimension
    rows += [(0.0, 1.0, -4.0, 4.0), (-5.0, 1.0, log(1e-6), 0.0), (0.0, 1.0, -3.0, 3.0)]
    mean, sd, low, high = np.asarray(rows, dtype=np.float64).T
    return Priors(mean, sd, low, high)
