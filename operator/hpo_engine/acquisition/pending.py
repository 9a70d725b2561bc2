"""What the model should think of trials without an outcome.

**Running trials** are believed to turn out as predicted (the kriging believer; Ginsbourger et al. 2010). With fixed
hyperparameters that leaves every predicted mean as it is and only takes away the uncertainty around the running trials,
which is what keeps the next suggestion from repeating them. A constant liar would shift the means by a made-up amount.

**Failed trials** are taken to be as bad as the worst that was measured. The model then avoids their neighbourhood, in
proportion to its own length scales; their made-up values never take part in learning the hyperparameters. Failures
that say nothing about the configuration are left out.
"""

from __future__ import annotations

import numpy as np

from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Trial, TrialState

NOT_THE_CONFIGURATION = frozenset({"BadData", "TooManyInterruptions", "MetricMissing"})
"""Reasons of failures that any other configuration would have met as well."""


def condemns(trial: Trial) -> bool:
    """Whether the trial failed because of its configuration, for all that is known."""
    return trial.state is TrialState.FAILED and trial.failure not in NOT_THE_CONFIGURATION


def with_failures(posterior: Posterior, points: FloatArray) -> Posterior:
    """After trials at ``points`` (m, d) turned out as bad as the worst output so far."""
    return posterior.with_data(points, np.full(len(points), float(np.max(posterior.y))))


def with_believed(posterior: Posterior, points: FloatArray) -> Posterior:
    """After trials at ``points`` (m, d) turned out exactly as predicted."""
    return posterior.believing(points)
