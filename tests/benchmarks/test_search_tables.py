"""The problems made of real tables. They skip where the tables are absent (see ``$HPO_DATA``)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from search.problems import problem
from search.problems.base import uniform
from search.problems.grids import Grid
from search.problems.taskset import SPACE, TaskSet

from hpo_engine.space import OrdinalParameter
from hpo_engine.trial import Value

TABLES = Path(os.environ.get("HPO_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "hpo"
pytestmark = pytest.mark.skipif(not (TABLES / "tabular_reference.json").exists(), reason=f"no tables in {TABLES}")

GRIDS = {
    "hpolib-naval+curve": ("hpolib", "naval_propulsion", lambda m: m),
    "hpobench-vehicle+curve": ("hpobench", "vehicle", lambda m: 1 - m),
    "nasbench201-cifar10+curve": ("nasbench201", "cifar10", lambda m: 100 - m),
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_finds_the_tables_own_best_configuration(name: str):
    family, dataset, loss = GRIDS[name]
    reference = json.loads((TABLES / "tabular_reference.json").read_text())[family]["datasets"][dataset]
    grid = problem(name)
    assert isinstance(grid, Grid)
    values: list[Value] = list(reference["best_config"].values())
    best = dict(zip((p.name for p in grid.space.parameters), values, strict=True))
    grid.space.check(best)
    curve = grid.curve(best, 0)
    assert curve.truth[-1] == pytest.approx(grid.best)
    assert grid.best == pytest.approx(loss(reference["best_mean"]), rel=1e-5)


def test_the_mean_training_costs_one():
    grid = problem("hpobench-vehicle+curve")
    assert isinstance(grid, Grid)
    assert np.mean(grid.costs) * grid.max_resource == pytest.approx(1.0)


def test_every_ordinal_of_a_grid_has_its_own_rows():
    grid = problem("hpolib-naval+curve")
    assert isinstance(grid, Grid)
    one = uniform(grid.space, 1, seed=0)[0]
    for p in grid.space.parameters:
        if isinstance(p, OrdinalParameter):
            assert len({grid.row({**one, p.name: p.value(i)}) for i in range(p.cells)}) == p.cells


def test_taskset_gives_the_nearest_row_that_the_run_has_not_drawn():
    task = problem("taskset-irnn64")
    assert isinstance(task, TaskSet)
    for row in (0, 17, 999):
        exact, near = (SPACE.decode(np.clip(task.points[row] + shift, 0, 1)) for shift in (0.0, 1e-4))
        for parameters in (exact, near):
            assert np.array_equal(task.begin().curve(parameters, 0).truth, task.losses[row], equal_nan=True)
        run = task.begin()
        run.curve(exact, 0)
        distances = np.sum((task.points - task.points[row]) ** 2, axis=1)
        second = task.losses[np.argsort(distances)[1]]
        assert np.array_equal(run.curve(exact, 0).truth, second, equal_nan=True)


def test_taskset_runs_that_diverge_stay_so():
    task = problem("taskset-irnn64")
    assert isinstance(task, TaskSet)
    assert np.nanmin(task.losses) == pytest.approx(task.best)
    dead = np.isnan(task.losses)
    assert np.all(dead[:, 1:] >= dead[:, :-1])
    assert 0.2 < dead[:, -1].mean() < 0.3
