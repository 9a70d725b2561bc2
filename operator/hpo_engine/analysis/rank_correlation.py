"""Is a short run a predictor? Multi-fidelity search rests on it, so every such study should be asked.

Kendall's τ compares two rankings of the same trials: of all pairs, the share ranked alike minus the share ranked
oppositely. 1: the short run tells all; 0: it tells nothing; -1: it lies. Ties are handled by τ-b (Kendall 1945), whose
denominator leaves out the pairs tied in either ranking.

Only promoted trials are known at both resources, and they are alike in having been good: τ among them is rather lower
than it would be among all trials.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from scipy.stats import kendalltau

from hpo_engine.incumbent import loss_at
from hpo_engine.study import Objective
from hpo_engine.trial import Trial

FEWEST = 3
"""Two trials are ranked alike by chance every second time."""
NORMAL_ABOVE = 10
"""With so few trials z is only roughly normal, and p only a hint."""


@dataclass(frozen=True)
class RankCorrelation:
    """τ between the rankings of ``trials`` trials at ``resource`` and at ``reached``, its ``z`` and two-sided ``p``."""

    resource: int
    reached: int
    trials: int
    tau: float
    z: float
    p: float

    @property
    def is_rough(self) -> bool:
        """Whether there are too few trials for ``p`` to be more than a hint."""
        return self.trials <= NORMAL_ABOVE

    @property
    def agreement(self) -> float:
        """The share of pairs of trials that both resources rank alike; exact without ties."""
        return (1 + self.tau) / 2


def z_score(tau: float, trials: int) -> float:
    """z = 3τ √(N(N-1)) / √(2(2N+5)), standard normal for two unrelated rankings without ties.

    Kendall 1938, "A new measure of rank correlation"; eq. 3.1 of the thesis on BOHB for medical segmentation. Ties
    make the variance of τ differ a little, which is neglected.
    """
    return 3 * tau * math.sqrt(trials * (trials - 1)) / math.sqrt(2 * (2 * trials + 5))


def rank_correlations(objective: Objective, trials: Collection[Trial]) -> dict[int, RankCorrelation | None]:
    """For every measured resource below the highest: how well it predicts, in ascending order.

    A resource is compared with the highest that at least FEWEST of its trials reached as well. None: there is no such
    resource, or one of the two rankings is a single tie.
    """
    resources = sorted({m.resource for trial in trials for m in trial.measurements})
    return {low: _correlation(objective, trials, low, resources) for low in resources[:-1]}


def _correlation(
    objective: Objective, trials: Collection[Trial], low: int, resources: list[int]
) -> RankCorrelation | None:
    for high in reversed([resource for resource in resources if resource > low]):
        losses = [(loss_at(objective, trial, low), loss_at(objective, trial, high)) for trial in trials]
        pairs = [(a, b) for a, b in losses if a is not None and b is not None]
        if len(pairs) >= FEWEST:
            short, long = zip(*pairs, strict=True)
            if len(set(short)) == 1 or len(set(long)) == 1:
                return None
            tau = float(kendalltau(short, long, variant="b").statistic)
            z = z_score(tau, len(pairs))
            return RankCorrelation(low, high, len(pairs), tau, z, math.erfc(abs(z) / math.sqrt(2)))
    return None
