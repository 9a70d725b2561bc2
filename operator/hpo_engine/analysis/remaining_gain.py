"""Stop now? What the next k trials may be expected to bring, in the objective's own units.

Functions are drawn from the GP posterior, jointly at the configuration that one would recommend today and at the k that
the search would try next, so correlations and what is doubtful about today's best count. In each drawn function the
gain is how far the best of the k lies below today's; its average is the expected improvement of a batch of k
(Ginsbourger et al. 2010, "Kriging is well-suited to parallelize optimization", eq. 6).

The k are chosen without seeing each other's outcomes (largest EI, then the same once that one is believed). A search
that sees them chooses better, so ``model`` errs on the low side. ``ceiling`` errs on the high side: what a search would
gain that were told the drawn function itself, over the pool of candidates. Between the two lies the truth, as far as
the model is right; early in a study it is not, and the gain of a surprise is not in it.

Beside it stands random search: ``random``, k draws made blindly under the same functions, and ``random_chance``, that
any of k more beats the best of n, all drawn blindly: k / (n + k), whatever the objective looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError

from hpo_engine.acquisition.log_ei import log_ei
from hpo_engine.analysis.belief import Belief
from hpo_engine.low_discrepancy import sobol_points
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.seeding import Purpose, rng
from hpo_engine.surrogate.cholesky import factor
from hpo_engine.trial import Parameters

DRAWS = 512
"""Functions: the error of a gain is then about 4 % of the standard deviation of single gains."""
ANCHORS = 5
BLIND, NEAR = 256, 256
"""Candidates all over the space, and near the ANCHORS best; joint draws cost the cube of their number."""
CHOICES = 64
"""Blind choices of k configurations that ``random`` averages over."""


@dataclass(frozen=True)
class RemainingGain:
    """Expected gains of ``trials`` more trials, never negative, in the objective's units; see the module."""

    trials: int
    model: float
    ceiling: float
    random: float
    random_chance: float


def remaining_gain(belief: Belief, trials: Sequence[int] = (1, 5, 10, 20)) -> tuple[RemainingGain, ...]:
    """One for each k of ``trials`` that the space has unused configurations for, in their order.

    At most O((n + p)² p) for a pool of p candidates; deterministic.
    """
    generator = rng(belief.study.seed, Purpose.ANALYSIS)
    points, blind = _pool(belief, generator)
    wanted = [k for k in trials if 1 <= k <= blind]
    try:
        functions = _functions(belief, np.vstack([belief.best, points]), generator)
    except LinAlgError:
        return ()
    if not wanted:
        return ()
    gains = _gains(belief, functions[:, 0], functions[:, 1:])
    order = _next(belief, points, max(wanted))
    ceiling = float(np.mean(np.max(gains, axis=1)))
    n = len(belief.losses)
    return tuple(
        RemainingGain(
            k,
            float(np.mean(np.max(gains[:, order[:k]], axis=1))),
            ceiling,
            _blind(gains[:, :blind], k, generator),
            k / (n + k),
        )
        for k in wanted
    )


def _pool(belief: Belief, generator: np.random.Generator) -> tuple[FloatArray, int]:
    """Different unused configurations (p, d), and how many of them, the first ones, are blind."""
    space = belief.study.space
    anchors = belief.posterior.X[np.argsort(belief.losses, kind="stable")[:ANCHORS]]
    size = space.size()
    if size is not None and size <= BLIND + NEAR:
        points = _unused(belief, list(space.configurations()))
        return points, len(points)
    blind = sobol_points(space.dimension, BLIND, generator)
    near = _near(anchors, generator)
    first = len(_unused(belief, [space.decode(latent) for latent in blind]))
    return _unused(belief, [space.decode(latent) for latent in (*blind, *near)]), first


def _near(anchors: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Latent points (NEAR, d) at distances from 0.3 to 0.003 of the anchors (k, d); half have one coordinate anew."""
    parents = np.resize(anchors, (NEAR, anchors.shape[1]))
    parents = np.where(np.isnan(parents), generator.random(parents.shape), parents)
    moved = parents + 10.0 ** generator.uniform(-2.5, -0.5, (NEAR, 1)) * generator.standard_normal(parents.shape)
    rows = np.flatnonzero(generator.random(NEAR) < 0.5)
    moved[rows, generator.integers(parents.shape[1], size=len(rows))] = generator.random(len(rows))
    return np.clip(moved, 0.0, 1.0)


def _unused(belief: Belief, configurations: Sequence[Parameters]) -> FloatArray:
    """Encodings (p, d) of those that were not tried, without repetition, in their order."""
    space, used = belief.study.space, belief.history.used(belief.study.space)
    unused = {key: c for c in configurations if (key := space.key(c)) not in used}
    return np.array([space.encode(c) for c in unused.values()]).reshape(len(unused), space.dimension)


def _functions(belief: Belief, points: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Draws (DRAWS, q) of the noiseless function at ``points`` (q, d)."""
    mean, covariance = belief.posterior.joint(points)
    half = generator.standard_normal((DRAWS // 2, len(points)))
    return np.asarray(mean + np.vstack([half, -half]) @ factor(covariance)[0].T)


def _gains(belief: Belief, today: FloatArray, there: FloatArray) -> FloatArray:
    """How much better (DRAWS, p) each candidate is than today's best, in the objective's units, at least 0."""
    return np.maximum(0.0, belief.outputs.inverse(today)[:, None] - belief.outputs.inverse(there))


def _next(belief: Belief, points: FloatArray, count: int) -> IntArray:
    """Places (count,) in the pool: the largest EI, then the largest once the chosen ones turned out as predicted."""
    posterior, chosen = belief.posterior, list[int]()
    today = float(posterior.predict(belief.best[None, :])[0][0])
    for _ in range(count):
        value = log_ei(*posterior.predict(points), today)
        value[chosen] = -np.inf
        chosen.append(int(np.argmax(value)))
        point = points[chosen[-1:]]
        posterior = posterior.with_data(point, posterior.predict(point)[0])
    return np.array(chosen, dtype=np.int64)


def _blind(gains: FloatArray, k: int, generator: np.random.Generator) -> float:
    """The average over blind choices of ``k`` among candidates (DRAWS, b)."""
    choices = [generator.choice(gains.shape[1], k, replace=False) for _ in range(CHOICES)]
    return float(np.mean([np.mean(np.max(gains[:, choice], axis=1)) for choice in choices]))
