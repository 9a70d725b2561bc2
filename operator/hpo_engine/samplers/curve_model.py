"""From measurements at all resources to beliefs on what training to the end gives.

Short runs count from the first on, for as much as they are worth: the model learns how well they foretell the long ones
(see surrogate.curves). With it a search is model-based long before any trial was trained to the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpo_engine.acquisition.pending import condemns
from hpo_engine.fidelity.brackets import ladder
from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.samplers.base import History
from hpo_engine.samplers.observations import encoded, fewest_points
from hpo_engine.study import Fidelity, Study
from hpo_engine.surrogate.curve_fitting import fit_curves
from hpo_engine.surrogate.curves import CurveData, CurvePosterior
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.outputs import OutputTransform, fit_outputs
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Trial, TrialState

ANCHORS = 5
"""The most promising trials, whose neighbourhood the maximisation looks at."""


@dataclass(frozen=True)
class CurveModel:
    """Beliefs on all curves of a study. ``best``: the lowest mean at the end of the curve of a measured trial.

    ``anchors`` (k, d): encodings of the most promising trials. ``lowest`` and ``middle``: the smallest and the median
    output that was measured.
    """

    resource: int
    curves: CurvePosterior
    outputs: OutputTransform
    best: float
    anchors: FloatArray
    lowest: float
    middle: float
    notes: tuple[str, ...]

    @property
    def posterior(self) -> Posterior:
        """The beliefs on trials that were not begun, trained to the end."""
        return self.curves.slice(self.resource)

    def believing(self, study: Study, history: History, pending: Sequence[Trial]) -> CurveModel:
        """The model if all running trials and those ``pending`` turned out as predicted at the end of their rung."""
        running = (trial for trial in history.members if trial.state is TrialState.RUNNING)
        awaited = [trial for trial in running if trial.value_at(trial.resource) is None]
        awaited = sorted([*awaited, *pending], key=lambda trial: trial.index)
        curves = self.curves.believing(encoded(study.space, awaited), *_places(awaited))
        return replace(self, curves=curves)

    def predict(self, study: Study, trials: Sequence[Trial], resource: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and standard deviations (n,) of the outputs of ``trials`` at ``resource`` (n,)."""
        return self.curves.predict(encoded(study.space, trials), resource, _places(trials)[1])


def fit_curve_model(study: Study, history: History, memory: Memory) -> CurveModel | None:
    """None while too little is measured, at whatever resource.

    Raises:
        LinAlgError: there is no positive definite covariance.
    """
    assert study.fidelity is not None  # schedulers have one
    measured, positions, resource, losses = _measurements(study, history)
    if len(measured) < fewest_points(study):
        return None
    outputs = fit_outputs(losses)
    y = outputs.forward(losses)
    encodings = history.encodings.reshape(len(history.members), study.space.dimension)
    numbers = np.array([trial.index for trial in history.members], dtype=np.int64)
    data = CurveData(encodings[positions], resource, numbers[positions], y, study.fidelity.maximum)
    curves, notes = fit_curves(study.sampler.kernel, metrics(study.space), data, memory)
    ends = np.full(len(measured), float(study.fidelity.maximum))
    means, _ = curves.predict(encodings[measured], ends, numbers[measured])
    promising = measured[np.argsort(means, kind="stable")[:ANCHORS]]
    return CurveModel(
        study.fidelity.maximum,
        curves,
        outputs,
        float(np.min(means)),
        encodings[promising],
        float(np.min(y)),
        float(np.median(y)),
        notes,
    )


def _measurements(study: Study, history: History) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Positions of the measured members (t,); and of all measurements the member (n,), the resource and the loss.

    A trial that failed or measured no number is left out: what it did before says nothing of where it led.
    """
    assert study.fidelity is not None
    levels = set(ladder(study.fidelity))
    positions, resources, losses, measured = [], [], [], []
    for position, trial in enumerate(history.members):
        if condemns(trial) or not trial.measurements or not all(math.isfinite(m.value) for m in trial.measurements):
            continue
        measured.append(position)
        last = trial.latest.resource
        for m in sorted(trial.measurements, key=lambda m: m.resource):
            if m.resource in levels or m.resource == last:
                positions.append(position)
                resources.append(float(min(max(m.resource, 1), study.fidelity.maximum)))
                losses.append(study.objective.loss(m.value))
    return (
        np.array(measured, dtype=np.int64),
        np.array(positions, dtype=np.int64),
        np.array(resources),
        np.array(losses),
    )


def _places(trials: Sequence[Trial]) -> tuple[FloatArray, IntArray]:
    """Where they are told to go (n,), and their numbers (n,)."""
    return (
        np.array([float(max(trial.resource, 1)) for trial in trials]),
        np.array([trial.index for trial in trials], dtype=np.int64),
    )


def has_curves(study: Study) -> bool:
    """Whether trials of this study are measured at more than one resource."""
    return study.scheduler != "None" and isinstance(study.fidelity, Fidelity)
