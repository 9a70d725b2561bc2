"""What the model should think of trials without an outcome.

**Running trials** are believed to turn out as predicted (the kriging believer; Ginsbourger et al. 2010). With fixed
hyperparameters that leaves every predicted mean as it is and only takes away the uncertainty around the running trials,
which is what keeps the next suggestion from repeating them. A constant liar would shift the means by a made-up amount.

**Failed trials** have no value at all: those that fail because of their configuration teach a model of what can be
trained (surrogate.feasibility). Failures that say nothing about the configuration are left out.
"""

from __future__ import annotations

from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Trial, TrialState

NOT_THE_CONFIGURATION = frozenset({"BadData", "TooManyInterruptions", "MetricMissing"})
"""Reasons of failures that any other configuration would have met as well."""


def condemns(trial: Trial) -> bool:
    """Whether the trial failed because of its configuration, for all that is known."""
    return trial.state is TrialState.FAILED and trial.failure not in NOT_THE_CONFIGURATION


def with_believed(posterior: Posterior, points: FloatArray) -> Posterior:
    """After trials at ``points`` (m, d) turned out exactly as predicted."""
    return posterior.believing(points)
