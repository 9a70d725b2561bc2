"""From what was measured to beliefs on the objective: the one place where that is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpo_engine.acquisition.pending import with_believed
from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.samplers.base import History
from hpo_engine.samplers.curve_model import CurveModel, fit_curve_model, has_curves
from hpo_engine.samplers.earlier_studies import with_earlier
from hpo_engine.samplers.observations import model_resource, observe, unresolved
from hpo_engine.seeding import Purpose, rng
from hpo_engine.study import Study
from hpo_engine.surrogate.fitting import fit_surrogate
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.marginal import marginal_posteriors
from hpo_engine.surrogate.outputs import OutputTransform, fit_outputs
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Trial

OWN_ENOUGH = 256
"""With more observations of its own a study asks no earlier ones."""
ANCHORS = 5
"""The best trials so far, whose neighbourhood the maximisation looks at."""


@dataclass(frozen=True)
class Model:
    """The surrogate of all that was measured at ``resource``; ``best``: its lowest mean at a measured point.

    With constraints it is the lowest where all were fulfilled, or the highest of all while there is no such point:
    then every improvement counts, and which way leads to a feasible one is left to the constraints' probabilities.
    ``draws``: the same beliefs with hyperparameters drawn from their posterior, where the study asks for these, and the
    ``best`` of each.
    """

    resource: int
    posterior: Posterior
    outputs: OutputTransform
    best: float
    anchors: FloatArray
    notes: tuple[str, ...]
    draws: tuple[Posterior, ...] = ()
    draws_best: tuple[float, ...] = ()

    def believing(self, study: Study, history: History, pending: Sequence[Trial]) -> Model:
        """The model when every trial without an outcome, and those ``pending``, turned out as predicted."""
        awaited = unresolved(study, history, pending, self.resource)
        draws = tuple(with_believed(posterior, awaited) for posterior in self.draws)
        return replace(self, posterior=with_believed(self.posterior, awaited), draws=draws)


def fit_model(study: Study, history: History, memory: Memory) -> Model | CurveModel | None:
    """None while too little is measured. With a scheduler the model is one of learning curves.

    Raises:
        LinAlgError: there is no positive definite covariance.
    """
    if has_curves(study):
        return fit_curve_model(study, history, memory)
    resource = model_resource(study, history)
    if resource is None:
        return None
    seen = observe(study, history, resource)
    taught = seen.losses[seen.lessons]
    outputs = memory.recall("outputs", taught.tobytes(), lambda: fit_outputs(taught))
    y = outputs.forward(seen.losses)
    generator = rng(study.seed, Purpose.FIT)
    sampler, kinds = study.sampler, metrics(study.space)
    fit = fit_surrogate(sampler.kernel, kinds, seen.X, y, generator, seen.lessons, memory, warped=sampler.input_warping)
    posterior = fit.posterior
    if study.earlier and len(y) <= OWN_ENOUGH:
        posterior = with_earlier(study, posterior, memory)
    best = _best(study, history, resource, seen.indices, posterior.fitted)
    anchors = seen.X[np.argsort(y, kind="stable")[:ANCHORS]]
    draws = _draws(study, fit.posterior, memory)
    bests = tuple(_best(study, history, resource, seen.indices, drawn.fitted) for drawn in draws)
    return Model(resource, posterior, outputs, best, anchors, fit.notes, draws, bests)


def _draws(study: Study, fitted: Posterior, memory: Memory) -> tuple[Posterior, ...]:
    if not study.sampler.marginalise:
        return ()
    generator, data = rng(study.seed, Purpose.SLICE), (fitted.X.tobytes(), fitted.y.tobytes())
    return memory.recall("draws", data, lambda: marginal_posteriors(study.sampler.kernel, fitted, generator))


def _best(study: Study, history: History, resource: int, indices: IntArray, fitted: FloatArray) -> float:
    if not study.constraints:
        return float(np.min(fitted))
    trials = {trial.index: trial for trial in history.members}
    measured = [next(m for m in trials[int(i)].measurements if m.resource == resource) for i in indices]
    feasible = np.array([study.fulfils(m) for m in measured], dtype=bool)
    return float(np.min(fitted[feasible])) if feasible.any() else float(np.max(fitted))
