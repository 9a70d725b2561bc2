"""How many draws does a search take to reach a goal? The rows of Table 2.3 of the thesis on hyper-parameters.

Within α: a configuration whose loss is at most (1 + α) times the lowest; top α: one of the best share α by rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo_engine.analysis.random_search import acceptable_models
from hpo_engine.parameters import FloatArray, IntArray

SHARES = (0.01, 0.05, 0.1)


@dataclass(frozen=True)
class Draws:
    """Numbers of draws over many searches, the draw that reaches the goal included; ``missed`` never reached it."""

    average: float
    sd: float
    worst: int
    missed: int


def goals(losses: FloatArray, shares: Sequence[float] = SHARES) -> dict[str, NDArray[np.bool_]]:
    """By name, which of the configurations with ``losses`` (m,) reach the goal (m,).

    Raises:
        ValueError: the lowest loss is not above 0, so that no loss can be within a share of it.
    """
    lowest = float(np.min(losses))
    if not lowest > 0:
        raise ValueError(f"losses: expected positive numbers, found {lowest}")
    ranked = np.sort(losses)
    reached = {"best": losses <= lowest}
    reached |= {f"within {100 * share:g} %": losses <= (1 + share) * lowest for share in shares}
    tops = {share: ranked[acceptable_models(len(losses), share) - 1] for share in shares}
    return reached | {f"top {100 * share:g} %": losses <= worst for share, worst in tops.items()}


def draws_to(reached: NDArray[np.bool_], orders: Sequence[IntArray]) -> Draws:
    """Over ``orders``: rows in the order of their draws. Searches that never reach the goal count with all their draws.

    ``sd`` is that of the population, as in the thesis.
    """
    hits = [reached[order] for order in orders]
    counts = np.array([int(np.argmax(hit)) + 1 if hit.any() else len(hit) for hit in hits])
    missed = sum(not hit.any() for hit in hits)
    return Draws(float(np.mean(counts)), float(np.std(counts)), int(np.max(counts)), missed)


def expected_random_draws(configurations: int, acceptable: int) -> float:
    """Mean draws without repetition until the first of ``acceptable`` among ``configurations``: (N + 1) / (M + 1)."""
    return (configurations + 1) / (acceptable + 1)
