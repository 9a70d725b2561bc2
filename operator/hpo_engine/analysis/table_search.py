"""Bayesian optimisation over a fixed list of configurations, whose losses are all known: how soon is the best found?

The experiment of section 2.4.3 of the thesis on hyper-parameters (Table 2.3): 600 trained models, and for each of them
as the first one a search that nothing but this choice can move. Thousands of searches are feasible because
nothing is computed twice: between two fits of the hyperparameters a new outcome appends one row to the factor of the
covariance, and with it one row to the factor's solution for *all* candidates, from which their means and variances
are updated. A draw among m configurations after n of them takes O(n m) time, and no more than O(m²) memory.

Hyperparameters are fitted anew whenever the outcomes have grown by GROWTH; each search keeps them until the next fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import LinAlgError

from hpo_engine.acquisition.log_ei import log_ei
from hpo_engine.low_discrepancy import sobol_points
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.seeding import Purpose, rng
from hpo_engine.space import Space
from hpo_engine.study import Kernel as KernelName
from hpo_engine.surrogate.fitting import fit_surrogate
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.outputs import fit_outputs
from hpo_engine.trial import Parameters

FIRST_FIT, GROWTH = 6, 1.4
"""Outcomes before the first model, and how much they grow between two fits."""
SMALLEST_VARIANCE = 1e-12

Acquisition = Literal["EI", "PI"]


@dataclass(frozen=True)
class Table:
    """Trained configurations of ``space``: ``points`` (m, d), their encodings, and ``losses`` (m,), all finite.

    Raises:
        ValueError: no or unequally many points and losses, or a loss that is not finite.
    """

    space: Space
    points: FloatArray
    losses: FloatArray

    def __post_init__(self) -> None:
        if len(self.losses) == 0 or self.points.shape != (len(self.losses), self.space.dimension):
            raise ValueError(
                f"points: expected {len(self.losses)} rows of {self.space.dimension} coordinates, "
                f"found {self.points.shape}"
            )
        if not np.all(np.isfinite(self.losses)):
            raise ValueError("losses: expected finite numbers, found others")

    @classmethod
    def of(cls, space: Space, configurations: Sequence[Parameters], losses: Sequence[float]) -> Table:
        points = np.array([space.encode(parameters) for parameters in configurations])
        return cls(space, points.reshape(len(configurations), space.dimension), np.asarray(losses, dtype=np.float64))


def search_order(
    table: Table,
    first: int,
    seed: int = 0,
    limit: int | None = None,
    kernel: KernelName = "Matern52",
    acquisition: Acquisition = "EI",
) -> IntArray:
    """Rows of ``table`` in the order in which the search draws them, from ``first`` until the best was drawn.

    Rows of a space-filling design come before the first model. ``limit``: the most draws (default: all). PI asks for
    any improvement. Deterministic; the loss of a row is looked at only after its draw.

    Raises:
        IndexError: ``first`` is no row.
    """
    if not 0 <= first < len(table.losses):
        raise IndexError(f"first: expected a row from 0 to {len(table.losses) - 1}, found {first}")
    most = len(table.losses) if limit is None else min(limit, len(table.losses))
    design = _design(table, first, seed)
    drawn, fitted = design[:1], 0
    model: _Model | None = None
    while len(drawn) < most and table.losses[drawn[-1]] > np.min(table.losses):
        if len(drawn) >= max(FIRST_FIT, fitted * GROWTH):
            model, fitted = _Model.fitted(table, drawn, kernel, seed) or model, len(drawn)
        elif model is not None:
            model.append(drawn[-1])
        drawn.append(_undrawn(table, design, drawn) if model is None else model.choose(drawn, acquisition))
    return np.array(drawn, dtype=np.int64)


def _undrawn(table: Table, design: Sequence[int], drawn: Sequence[int]) -> int:
    """The next row of the design; after its end, where no model could be fitted, the first undrawn one."""
    return int(next(row for row in (*design, *range(len(table.losses))) if row not in drawn))


def random_order(table: Table, seed: int, index: int) -> IntArray:
    """Rows in a uniformly random order, until the best was drawn."""
    order = rng(seed, Purpose.UNIFORM, index).permutation(len(table.losses))
    end = int(np.argmax(table.losses[order] <= np.min(table.losses)))
    return np.asarray(order[: end + 1], dtype=np.int64)


class _Model:
    """A GP with fixed hyperparameters over all rows of a table, some of whose outcomes it has seen.

    ``V`` (n, m) = L⁻¹ K(seen, all): the model's own factor L is the seen columns of V, so nothing else is kept. ``w``
    (n,) = L⁻¹ (y - mean); then all means are mean + Vᵀ w, and all variances signal - Σ V².
    """

    @classmethod
    def fitted(cls, table: Table, drawn: Sequence[int], kernel: KernelName, seed: int) -> _Model | None:
        """None: no model could be fitted."""
        rows = list(drawn)
        outputs = fit_outputs(table.losses[rows])
        y = outputs.forward(table.losses[rows])
        generator = rng(seed, Purpose.FIT, len(rows))
        try:
            posterior = fit_surrogate(kernel, metrics(table.space), table.points[rows], y, generator).posterior
        except LinAlgError:
            return None
        return cls(
            table,
            outputs.forward(table.losses),
            posterior.kernel(table.points, table.points),
            posterior.mean,
            posterior.noise,
            rows,
        )

    def __init__(
        self, table: Table, outputs: FloatArray, K: FloatArray, mean: float, noise: float, rows: Sequence[int]
    ) -> None:
        m = len(outputs)
        self._outputs, self._K, self._noise = outputs, K, noise
        self._V, self._n = np.empty((m, m)), 0
        self._means, self._variances = np.full(m, mean), np.diag(K).copy()
        for row in rows:
            self.append(row)

    def append(self, row: int) -> None:
        """After the outcome of ``row`` was seen: a step of Cholesky, applied to every candidate at once."""
        V, n = self._V, self._n
        pivot = (max(self._variances[row], SMALLEST_VARIANCE) + self._noise) ** 0.5
        V[n] = (self._K[row] - V[:n, row] @ V[:n]) / pivot
        weight = (self._outputs[row] - self._means[row]) / pivot
        self._means += weight * V[n]
        self._variances -= V[n] ** 2
        self._n = n + 1

    def choose(self, drawn: Sequence[int], acquisition: Acquisition) -> int:
        """The undrawn row of the largest acquisition function; of equal ones the first."""
        sd = np.sqrt(np.maximum(self._variances, SMALLEST_VARIANCE))
        best = float(np.min(self._means[list(drawn)]))
        value = log_ei(self._means, sd, best) if acquisition == "EI" else (best - self._means) / sd
        value[list(drawn)] = -np.inf
        return int(np.argmax(value))


def _design(table: Table, first: int, seed: int) -> list[int]:
    """``first``, then the rows (at most FIRST_FIT, all different) nearest to a Sobol set scrambled by it.

    Distances are those of the unit cube; a coordinate that one of two points lacks counts as the whole range.
    """
    generator = rng(seed, Purpose.SOBOL, first)
    sobol = sobol_points(table.space.dimension, 8, generator)  # a power of two, for its balance
    chosen = [first]
    for place in table.space.snap(sobol)[: min(FIRST_FIT, len(table.losses)) - 1]:
        difference = table.points - place
        one_off = np.isnan(table.points) ^ np.isnan(place)
        squares = np.sum(np.where(one_off, 1.0, np.nan_to_num(difference**2)), axis=1)
        squares[chosen] = np.inf
        chosen.append(int(np.argmin(squares)))
    return chosen
