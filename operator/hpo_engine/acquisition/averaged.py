"""An acquisition function averaged over hyperparameters (Snoek et al. 2012, eq. 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from hpo_engine.acquisition.functions import Batched
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.surrogate.posterior import Posterior


@dataclass(frozen=True)
class LogAverage:
    """log mean exp of ``functions``, all logarithms. ``representative``: the beliefs that stand for all."""

    functions: tuple[Batched, ...]
    representative: Posterior

    @property
    def posterior(self) -> Posterior:
        return self.representative

    def __call__(self, points: FloatArray) -> FloatArray:
        values = np.stack([function(points) for function in self.functions])
        return np.asarray(logsumexp(values, axis=0) - np.log(len(values)))

    def slopes(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values (n,) and slopes (n, d) at encoded ``points`` (n, d)."""
        values, slopes = (np.stack(parts) for parts in zip(*(f.slopes(points) for f in self.functions), strict=True))
        total = logsumexp(values, axis=0)
        shares = np.exp(values - total)
        return total - np.log(len(values)), np.einsum("sn,snd->nd", shares, slopes)

    def with_slopes(self, point: FloatArray, coordinates: IntArray) -> tuple[float, FloatArray]:
        value, slopes = self.slopes(point[None, :])
        return float(value[0]), slopes[0, coordinates]

    def under(self, posterior: Posterior) -> Batched:
        """Of one other posterior there is nothing to average."""
        return self.functions[0].under(posterior)
