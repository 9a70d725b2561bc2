"""Complete tables of real trainings: HPOlib (Klein & Hutter 2019), HPOBench (Eggensperger et al. 2021), NAS-Bench-201
(Dong & Yang 2020). Final values and training times are real; **the learning curves are made** (``problems.curves``),
which the names say: ``nasbench201-cifar10+curve``.

A run of the benchmark sees the column of one training seed; the truth is the mean over the columns. NAS-Bench-201
lacks some columns of some configurations; there the mean of the others stands in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hpo_engine.space import CategoricalParameter, OrdinalParameter, Space
from hpo_engine.trial import Parameters
from search.problems.base import Curve, FloatArray, data
from search.problems.curves import MadeCurve

UNITS = (16, 32, 64, 128, 256, 512)
HPOLIB = Space(
    (
        CategoricalParameter("activation1", ("relu", "tanh")),
        CategoricalParameter("activation2", ("relu", "tanh")),
        OrdinalParameter("batchSize", (8, 16, 32, 64)),
        OrdinalParameter("dropout1", (0.0, 0.3, 0.6)),
        OrdinalParameter("dropout2", (0.0, 0.3, 0.6)),
        OrdinalParameter("learningRate", (5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1)),
        CategoricalParameter("schedule", ("cosine", "const")),
        OrdinalParameter("units1", UNITS),
        OrdinalParameter("units2", UNITS),
    )
)
ALPHAS = (
    1e-08,
    7.742637e-08,
    5.994842e-07,
    4.641589e-06,
    3.5938137e-05,
    0.00027825593,
    0.0021544348,
    0.016681006,
    0.12915497,
    1,
)
RATES = (
    1e-05,
    3.5938137e-05,
    0.00012915497,
    0.0004641589,
    0.0016681006,
    0.0059948424,
    0.021544347,
    0.07742637,
    0.27825594,
    1,
)
HPOBENCH = Space(
    (
        OrdinalParameter("alpha", ALPHAS),
        OrdinalParameter("batchSize", (4, 6, 10, 16, 25, 40, 64, 101, 161, 256)),
        OrdinalParameter("depth", (1, 2, 3)),
        OrdinalParameter("learningRate", RATES),
        OrdinalParameter("width", (16, 25, 40, 64, 101, 161, 256, 406, 645, 1024)),
    )
)
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NASBENCH = Space(tuple(CategoricalParameter(f"op{i}", OPERATIONS) for i in range(6)))


@dataclass
class Grid:
    """``finals`` (configurations, seeds) losses and ``seconds`` (configurations,); rows in the order of the cells."""

    name: str
    space: Space
    max_resource: int
    finals: FloatArray
    seconds: FloatArray
    log: bool
    dev: bool = False
    best: float = field(init=False)
    typical: float = field(init=False)
    diverged: float = field(init=False)

    def __post_init__(self) -> None:
        self.means = np.nanmean(self.finals, axis=1)
        self.finals = np.where(np.isnan(self.finals), self.means[:, None], self.finals)
        self.costs = self.seconds / np.mean(self.seconds) / self.max_resource
        start = float(np.quantile(self.means, 0.9))
        self.best, self.typical = float(np.min(self.means)), float(np.median(np.minimum(self.means, start)))
        self.diverged = float(np.max(self.means))  # never happens: every run in these tables ended
        spread = np.log(start / self.typical) if self.log else start - self.typical
        self.made = MadeCurve(self.name, self.space, self.max_resource, start, 0.02 * float(spread), self.log)

    def begin(self) -> Grid:
        return self

    def curve(self, parameters: Parameters, seed: int) -> Curve:
        row = self.row(parameters)
        column = float(self.finals[row, seed % self.finals.shape[1]])
        observed = self.made.observed(parameters, column, seed)
        return Curve(observed, self.made.truth(parameters, float(self.means[row])), float(self.costs[row]))

    def row(self, parameters: Parameters) -> int:
        cells = [int(p.cell(np.asarray(p.encode(parameters[p.name])))) for p in self.space.parameters]
        return int(np.ravel_multi_index(cells, [p.cells or 0 for p in self.space.parameters]))


def hpolib(name: str) -> Grid:
    arrays, key = data("tabular_hpolib.npz"), {"naval": "naval_propulsion", "parkinsons": "parkinsons_telemonitoring"}
    key |= {"protein": "protein_structure", "slice": "slice_localization"}
    dataset = key[name.removeprefix("hpolib-").removesuffix("+curve")]
    return Grid(name, HPOLIB, 81, _losses(arrays[f"{dataset}/val_loss"]), _seconds(arrays, dataset), log=True)


def hpobench(name: str) -> Grid:
    arrays, dataset = data("tabular_hpobench.npz"), name.removeprefix("hpobench-").removesuffix("+curve")
    losses = 1 - _losses(arrays[f"{dataset}/val_acc"])
    return Grid(name, HPOBENCH, 27, losses, _seconds(arrays, dataset), log=False)


def nasbench201(name: str) -> Grid:
    arrays, dataset = data("tabular_nasbench201.npz"), name.removeprefix("nasbench201-").removesuffix("+curve")
    losses = 100 - _losses(arrays[f"{dataset}/val_acc"])
    return Grid(name, NASBENCH, 81, losses, _seconds(arrays, dataset), log=False)


def _losses(values: FloatArray) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _seconds(arrays: dict[str, FloatArray], dataset: str) -> FloatArray:
    return np.asarray(arrays[f"{dataset}/train_time"], dtype=np.float64)
