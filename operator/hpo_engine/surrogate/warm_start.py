"""Earlier studies as a first guess of the function, weighted by how well they rank what this study measured.

Each earlier study has a surrogate of its own. Their weighted means are the prior mean of this study's surrogate, which
learns the difference: where it has data of its own these decide. The weights are those of RGPE (Feurer et al. 2018,
"Scalable Meta-Learning for Bayesian Optimization using Ranking-Weighted Gaussian Process Ensembles", section 4): the
probability, by drawn functions, that a surrogate misranks fewer pairs of this study's trials than every other one
does, this study's own being asked leave-one-out. A surrogate whose median loss is above the 95 % quantile of the own
one's is dropped (their section 4.3), and so is one that ranks no better than chance. With all weights at zero the
surrogate is just what it would have been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import LinAlgError, cho_solve

from hpo_engine.parameters import FloatArray
from hpo_engine.surrogate.cholesky import factor
from hpo_engine.surrogate.posterior import Posterior

DRAWS = 64
CHANCE = 0.45
"""Share of misranked pairs above which a surrogate is not believed to rank alike at all; a half is pure chance."""


@dataclass(frozen=True)
class Guess:
    """Σ_i w_i μ_i(x) over earlier surrogates."""

    weights: FloatArray
    posteriors: tuple[Posterior, ...]

    def means(self, Z: FloatArray) -> FloatArray:
        """(q,) at encoded points ``Z`` (q, d)."""
        total = np.zeros(len(Z))
        for weight, posterior in zip(self.weights, self.posteriors, strict=True):
            total = total + weight * posterior.means(Z)
        return total

    def slopes(self, Z: FloatArray) -> FloatArray:
        """Derivatives (q, d) of the means."""
        total = np.zeros(Z.shape)
        for weight, posterior in zip(self.weights, self.posteriors, strict=True):
            total = total + weight * posterior.slopes(Z)[2]
        return total


@dataclass(frozen=True)
class Shifted(Posterior):
    """``inner``, the beliefs on what is left of the outputs without the ``guess``, and the guess added again."""

    inner: Posterior = field(kw_only=True)
    guess: Guess = field(kw_only=True)

    @classmethod
    def by(cls, guess: Guess, inner: Posterior) -> Shifted:
        i = inner
        return cls(i.kernel, i.mean, i.noise, i.X, i.y, i.factor, i.alpha, i.jitter, inner=inner, guess=guess)

    @property
    def fitted(self) -> FloatArray:
        return np.asarray(self.inner.fitted + self.guess.means(self.X))

    def predict(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, sd = self.inner.predict(Z)
        return mean + self.guess.means(Z), sd

    def means(self, Z: FloatArray) -> FloatArray:
        return self.inner.means(Z) + self.guess.means(Z)

    def joint(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, covariance = self.inner.joint(Z)
        return mean + self.guess.means(Z), covariance

    def slopes(self, Z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        mean, sd, mean_slopes, sd_slopes = self.inner.slopes(Z)
        return mean + self.guess.means(Z), sd, mean_slopes + self.guess.slopes(Z), sd_slopes

    def with_data(self, X: FloatArray, y: FloatArray) -> Posterior:
        return Shifted.by(self.guess, self.inner.with_data(X, y - self.guess.means(X)))

    def believing(self, X: FloatArray) -> Posterior:
        return Shifted.by(self.guess, self.inner.believing(X))


def ranking_weights(
    own: Posterior, earlier: Sequence[Posterior], generator: np.random.Generator, draws: int = DRAWS
) -> FloatArray:
    """w (k,) of the ``earlier`` surrogates, each at least 0, together at most 1; ``own`` has the rest.

    ``own`` is the surrogate of this study's outputs, and holds its points and outputs.
    """
    n = len(own.y)
    if n < 3:
        return np.full(len(earlier), 1.0 / (len(earlier) + 1))
    losses = [misranked(_draws_of(posterior, own.X, draws, generator), own.y) for posterior in earlier]
    mine = misranked(_left_out(own, draws, generator), own.y)
    limit = min(float(np.quantile(mine, 0.95)), CHANCE)
    kept = np.array([float(np.median(loss)) <= limit for loss in losses], dtype=bool)
    table = np.stack([*losses, mine])
    table[:-1][~kept] = np.inf
    lowest = table == table.min(axis=0)
    lowest[:-1, lowest[-1]] = False  # a tie is the own one's
    return np.asarray((lowest / lowest.sum(axis=0)).mean(axis=1)[:-1])


def misranked(draws: FloatArray, y: FloatArray) -> FloatArray:
    """Share (s,) of the pairs of trials that each of ``draws`` (s, n) puts in another order than ``y`` (n,)."""
    i, j = np.triu_indices(len(y), 1)
    differ = (draws[:, i] < draws[:, j]) != (y[i] < y[j])
    counted = y[i] != y[j]
    return np.asarray(differ[:, counted].mean(axis=1)) if counted.any() else np.full(len(draws), 0.5)


def _draws_of(posterior: Posterior, X: FloatArray, draws: int, generator: np.random.Generator) -> FloatArray:
    """Functions (s, n) at ``X``; their means where the covariance has no factor."""
    mean, covariance = posterior.joint(X)
    noise = generator.standard_normal((draws, len(X)))
    try:
        L, _ = factor(covariance)
    except LinAlgError:
        return np.repeat(mean[None, :], draws, axis=0)
    return np.asarray(mean + noise @ L.T)


def _left_out(own: Posterior, draws: int, generator: np.random.Generator) -> FloatArray:
    """Outputs (s, n), each predicted without itself (Rasmussen & Williams 2006, eqs. 5.10 to 5.12)."""
    inverse = np.diag(cho_solve((own.L, True), np.eye(len(own.y))))
    mean, sd = own.y - own.alpha / inverse, np.sqrt(1 / inverse)
    return np.asarray(mean + sd * generator.standard_normal((draws, len(mean))))
