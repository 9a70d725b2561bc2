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


def default_priors(dimension: int, warped: int = 0) -> Priors:
    """ℓ: log-normal(√2 + ½ log d, √3), at least 0.05; σ_f²: around 1; σ_n²: around 0.0025, widely; m: normal(0, 1).

    σ_n² may be anything from none to all of the variance: trainings on small data sets are noisy, and a narrow prior
    around little noise would have the length scales explain noise instead. After these come log a and log b of the
    ``warped`` columns, around 0: most inputs are on the right scale already.
    """
    lengthscale = (sqrt(2) + 0.5 * log(dimension) - 3.0, sqrt(3), log(5e-2), log(1e2))
    rows = [lengthscale] * dimension
    rows += [(0.0, 1.0, -4.0, 4.0), (-6.0, 2.0, log(1e-6), 0.5), (0.0, 1.0, -3.0, 3.0)]
    rows += [(0.0, 0.5, -1.5, 1.5)] * (2 * warped)
    mean, sd, low, high = np.asarray(rows, dtype=np.float64).T
    return Priors(mean, sd, low, high)
