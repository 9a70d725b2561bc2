"""Facts of the problems for the report: what is known of each, and how well few units foretell the end."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import kendalltau

from search.problems import problem
from search.problems.base import uniform

SAMPLE = 300


def table(names: list[str]) -> str:
    """Markdown. τ: Kendall's, between the observed losses after a ninth (a third) of R and the true ones at R."""
    head = "| problem | set | d | R | best | typical | τ at R/9 | τ at R/3 | diverge | cost, 5 % to 95 % |"
    return "\n".join([head, "|---" * 10 + "|", *map(_row, names)])


def _row(name: str) -> str:
    p = problem(name)
    curves = [p.curve(x, 0) for x in uniform(p.space, SAMPLE, seed=7)]
    alive = [c for c in curves if math.isfinite(c.observed[-1])]
    taus = [
        kendalltau([c.observed[max(1, p.max_resource // k) - 1] for c in alive], [c.truth[-1] for c in alive]).statistic
        for k in (9, 3)
    ]
    low, high = np.quantile([c.unit_cost * p.max_resource for c in curves], (0.05, 0.95))
    dead = 1 - len(alive) / len(curves)
    return (
        f"| {p.name} | {'dev' if p.dev else 'held-out'} | {p.space.dimension} | {p.max_resource} | {p.best:.5g} "
        f"| {p.typical:.5g} | {taus[0]:.2f} | {taus[1]:.2f} | {dead:.0%} | {low:.2f} to {high:.2f} |"
    )
