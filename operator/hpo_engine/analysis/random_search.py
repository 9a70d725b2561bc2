"""What luck alone would buy: random search without repetition, as a yardstick for every study.

Of N configurations M are acceptable, say the best 5 %. Drawing n different ones uniformly misses all of them with

    P(miss) = Π_{k<n} (1 - M / (N - k)) = C(N - n, M) / C(N, M),

a hypergeometric probability (eqs. 2.20 to 2.22 of the thesis on random search and Bayesian optimisation for
hyper-parameters whose Table 2.2 ``draws_table`` reproduces). It says how high a random search gets in the ranking of
configurations, and nothing about how far their values lie apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

NEAR = 1e-12
"""Closer to the wanted probability than this, floating point cannot tell and integers decide."""


def acceptable_models(total: int, top: float) -> int:
    """M: how many of ``total`` configurations are the best share ``top``; at least one.

    Raises:
        ValueError: ``top`` is not in (0, 1], or there are no configurations.
    """
    if total < 1:
        raise ValueError(f"total: expected at least 1 configuration, found {total}")
    return max(1, math.floor(_share(top) * total))


def probability_within(draws: int, top: float, total: int | None = None) -> float:
    """Probability that ``draws`` different random configurations contain one of the best share ``top``.

    ``total``: configurations in the space; None: infinitely many, the limit. Takes O(min(draws, M)) time.

    Raises:
        ValueError: a negative number of draws, a share outside (0, 1], an empty space.
    """
    if draws < 0:
        raise ValueError(f"draws: expected at least 0, found {draws}")
    if total is None:
        share = float(_share(top))
        return -math.expm1(draws * math.log1p(-share)) if share < 1 else float(draws > 0)
    return _probability(draws, acceptable_models(total, top), total)


def least_draws(probability: float, top: float, total: int | None = None) -> int:
    """The least number of draws whose ``probability_within`` is greater than ``probability``.

    Both shares are meant as the decimals they are written as, so 0.95 is 19/20, and a probability that is met exactly
    is not exceeded.

    Raises:
        ValueError: ``probability`` is not in [0, 1), a share outside (0, 1], an empty space.
    """
    if not 0 <= probability < 1:
        raise ValueError(f"probability: expected 0 <= probability < 1, found {probability}")
    wanted, share = _decimal(probability), _share(top)
    acceptable = None if total is None else acceptable_models(total, top)

    def exceeds(draws: int) -> bool:
        gap = probability_within(draws, top, total) - probability
        if abs(gap) > NEAR:
            return gap > 0
        missed = (1 - share) ** draws if total is None else _missed_exactly(draws, acceptable or 1, total)
        return 1 - missed > wanted

    high = 1
    while not exceeds(high):
        high *= 2
    low = high // 2  # never enough: the last one tried, or no draw at all
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if exceeds(middle) else (middle, high)
    return high


def draws_table(
    total: int | None, tops: Sequence[float] = (0.01, 0.05, 0.1), probabilities: Sequence[float] = (0.5, 0.95, 0.99)
) -> tuple[tuple[int, ...], ...]:
    """Least draws, one row for each share, one column for each probability; Table 2.2 with ``total`` = 100 000."""
    return tuple(tuple(least_draws(p, top, total) for p in probabilities) for top in tops)


def _probability(draws: int, acceptable: int, total: int) -> float:
    """C(N - n, M) / C(N, M) is symmetric in n and M: the shorter of the two products is taken."""
    if draws > total - acceptable:
        return 1.0
    few, many = sorted((draws, acceptable))
    return -math.expm1(float(np.sum(np.log1p(-many / (total - np.arange(few, dtype=np.float64))))))


def _missed_exactly(draws: int, acceptable: int, total: int) -> Fraction:
    if draws > total - acceptable:
        return Fraction(0)
    few, many = sorted((draws, acceptable))
    return Fraction(math.prod(range(total - many - few + 1, total - many + 1)), math.perm(total, few))


def _share(top: float) -> Fraction:
    share = _decimal(top)
    if not 0 < share <= 1:
        raise ValueError(f"top: expected a share in (0, 1], found {top}")
    return share


def _decimal(number: float) -> Fraction:
    """The number as it is written: repr is the shortest decimal that reads back."""
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, found {number}")
    return Fraction(repr(float(number)))
