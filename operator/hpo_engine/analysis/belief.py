"""The surrogate that analyses ask: fitted as the GP sampler would fit it, whatever sampler made the trials.

Failed trials are left out: the questions are about the objective, not about what makes a training fail.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError

from hpo_engine.parameters import FloatArray
from hpo_engine.samplers.base import History
from hpo_engine.samplers.observations import model_resource, observe
from hpo_engine.seeding import Purpose, rng
from hpo_engine.study import Study
from hpo_engine.surrogate.fitting import fit_surrogate
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.outputs import OutputTransform, fit_outputs
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Trial


@dataclass(frozen=True)
class Belief:
    """Of the ``losses`` (n,) that were measured at ``resource``; ``posterior`` is about ``outputs.forward`` of them."""

    study: Study
    history: History
    resource: int
    losses: FloatArray
    outputs: OutputTransform
    posterior: Posterior

    @property
    def best(self) -> FloatArray:
        """The encoding (d,) of the measured configuration with the lowest mean: what one would recommend today."""
        points = self.posterior.X
        return np.asarray(points[int(np.argmin(self.posterior.predict(points)[0]))])

    def values(self, outputs: FloatArray) -> FloatArray:
        """The objective, as the user states it, at ``outputs`` of the model, element by element."""
        losses = self.outputs.inverse(outputs)
        return -losses if self.study.objective.maximize else losses


def believe(study: Study, trials: Collection[Trial]) -> Belief | None:
    """None: too little was measured at any one resource, or no model could be fitted."""
    history = History.of(study, trials)
    resource = model_resource(study, history)
    if resource is None:
        return None
    seen = observe(study, history, resource)
    outputs = fit_outputs(seen.losses)
    y, generator = outputs.forward(seen.losses), rng(study.seed, Purpose.FIT)
    try:
        fit = fit_surrogate(study.sampler.kernel, metrics(study.space), seen.X, y, generator)
    except LinAlgError:
        return None
    return Belief(study, history, resource, seen.losses, outputs, fit.posterior)
