"""Which parameters matter? Functional ANOVA of what the surrogate learnt from any history.

With u uniform on the unit cube of the space (log scales and cells as the samplers see them) the surrogate f(u) splits
into a constant, effects of single parameters, effects of pairs and so on, whose variances add up to that of f
(Hutter et al. 2014, "An efficient approach for assessing hyperparameter importance", eqs. 2 to 4). Marginals of one or
two parameters are taken on Gauss-Legendre nodes (or on all cells of a discrete parameter), each averaged over the same
fixed Sobol set of the other parameters; totals by the estimator of Jansen 1999 (Saltelli et al. 2010, table 2, row f).

A conditional parameter has no effect where it is inactive, so what it does where it is active shows up partly as its
own effect and partly as that of the pair with its parent.

The shares describe the surrogate, not the truth. How far to believe them is told by ``explained``: how well the
surrogate predicts each trial from the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.linalg import cho_solve

from hpo_engine.analysis.belief import believe
from hpo_engine.low_discrepancy import sobol_points
from hpo_engine.parameters import CategoricalParameter, FloatArray, Parameter
from hpo_engine.space import Space
from hpo_engine.study import Study
from hpo_engine.surrogate.outputs import OutputTransform
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Trial

POINTS, OTHERS = 2048, 256
"""Sobol points for totals and the whole variance, and for averages over the other parameters. Shares of surrogates of
the engine's test functions are then within 0.02 of those of 16 times as many points."""
NODES, PAIR_NODES = 16, 8
"""Places on the axis of a parameter; a discrete one with no more than NODES values has its values as places."""
FINE = 4096
"""Points that the widths of cells are measured with."""
CHUNK = 4096
"""Points predicted at once, which bounds the memory."""
PAIRED = 6
"""Pairs are looked at among this many parameters, those with the largest total effects."""
FLAT = 1e-6
"""A surrogate that varies less than this, in standard deviations of the measured values, has learnt nothing."""


@dataclass(frozen=True)
class Effect:
    """Shares of the variance: ``main`` by the parameter alone, ``total`` with all interactions it takes part in."""

    main: float
    total: float


@dataclass(frozen=True)
class Importances:
    """Of a model of ``trials`` trials at ``resource``, in the order of the space, pairs in descending order.

    ``explained``: 1 - (mean squared error of predicting each trial from the others) / variance, of the outputs as the
    model sees them. Near 1 the shares can be believed, near 0 or below they cannot.
    """

    resource: int
    trials: int
    explained: float
    effects: Mapping[str, Effect]
    pairs: Mapping[tuple[str, str], float]


def importances(study: Study, trials: Collection[Trial]) -> Importances | None:
    """From the measurements at the resource that the GP sampler would model, whatever sampler made the trials.

    Failed trials are left out: the question is what moves the objective, not what makes a training fail.
    None: too little was measured, or the model sees no difference between the configurations.
    """
    belief = believe(study, trials)
    if belief is None:
        return None
    shares = _Decomposition(study.space, belief.posterior, belief.outputs)
    above, below = belief.outputs.inverse(np.array([1.0, -1.0]))
    if not shares.variance > (FLAT * (above - below) / 2) ** 2:
        return None
    effects = shares.effects()
    return Importances(belief.resource, len(belief.losses), explained(belief.posterior), effects, shares.pairs(effects))


def explained(posterior: Posterior) -> float:
    """Leave-one-out R² with the hyperparameters unchanged (Rasmussen & Williams 2006, eq. 5.12), at most 1."""
    inverse = cho_solve((posterior.L, True), np.eye(len(posterior.y)))
    residuals = posterior.alpha / np.diag(inverse)
    variance = float(np.var(posterior.y))
    return 1 - float(np.mean(residuals**2)) / variance if variance > 0 else 0.0


class _Decomposition:
    """Of the variance of the surrogate's middle prediction, in the objective's own units."""

    def __init__(self, space: Space, posterior: Posterior, outputs: OutputTransform) -> None:
        self._space, self._posterior, self._outputs = space, posterior, outputs
        d = space.dimension
        sobol = sobol_points(2 * d, POINTS, np.random.Generator(np.random.PCG64(0)))
        self._A, self._B = sobol[:, :d], sobol[:, d:]
        self._at_A = self._surrogate(self._A)
        self.variance = float(np.var(np.concatenate([self._at_A, self._surrogate(self._B)])))

    def effects(self) -> dict[str, Effect]:
        effects = {}
        for i, parameter in enumerate(self._space.parameters):
            nodes, weights = _nodes(parameter, NODES)
            marginal = self._marginal([(i, nodes)])
            main = float(weights @ (marginal - weights @ marginal) ** 2) / self.variance
            total = self._total(i)
            effects[parameter.name] = Effect(min(main, total), total)
        return effects

    def pairs(self, effects: Mapping[str, Effect]) -> dict[tuple[str, str], float]:
        """Shares of what two parameters do together beyond the sum of what each does alone."""
        names = [parameter.name for parameter in self._space.parameters]
        chosen = sorted(sorted(range(len(names)), key=lambda i: -effects[names[i]].total)[:PAIRED])
        shares = {(names[i], names[j]): self._interaction(i, j) for i, j in combinations(chosen, 2)}
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    def _total(self, i: int) -> float:
        """All that changes when parameter ``i`` alone does (Jansen 1999)."""
        U = self._A.copy()
        U[:, i] = self._B[:, i]
        return 0.5 * float(np.mean((self._at_A - self._surrogate(U)) ** 2)) / self.variance

    def _interaction(self, i: int, j: int) -> float:
        (u, p), (v, q) = (_nodes(self._space.parameters[k], PAIR_NODES) for k in (i, j))
        together = self._marginal([(i, np.repeat(u, len(v))), (j, np.tile(v, len(u)))]).reshape(len(u), len(v))
        residual = together - (together @ q)[:, None] - (p @ together)[None, :] + p @ together @ q
        return float(p @ residual**2 @ q) / self.variance

    def _marginal(self, fixed: Sequence[tuple[int, FloatArray]]) -> FloatArray:
        """Averages (m,) over all other parameters, with each (coordinate, places (m,)) of ``fixed`` held there."""
        m = len(fixed[0][1])
        U = np.tile(self._A[:OTHERS], (m, 1))
        for i, places in fixed:
            U[:, i] = np.repeat(places, OTHERS)
        return np.asarray(self._surrogate(U).reshape(m, OTHERS).mean(axis=1))

    def _surrogate(self, U: FloatArray) -> FloatArray:
        """Losses (m,) at the points ``U`` (m, d) of the unit cube."""
        chunks = np.array_split(U, -(-len(U) // CHUNK))
        posterior = self._posterior
        means = [posterior.kernel(self._space.snap(chunk), posterior.X) @ posterior.alpha for chunk in chunks]
        return self._outputs.inverse(posterior.mean + np.concatenate(means))


def _nodes(parameter: Parameter, most: int) -> tuple[FloatArray, FloatArray]:
    """Places (m,) in [0, 1] and their weights (m,), which add up to 1. Categories are always taken one by one."""
    cells = parameter.cells
    if cells is not None and (cells <= NODES or isinstance(parameter, CategoricalParameter)):
        cell = parameter.cell((np.arange(FINE) + 0.5) / FINE)  # on a log scale they differ in width
        return parameter.place(np.arange(cells)), np.bincount(cell, minlength=cells) / FINE
    places, weights = np.polynomial.legendre.leggauss(most)
    return (places + 1) / 2, weights / 2
