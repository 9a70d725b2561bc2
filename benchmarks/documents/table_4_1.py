"""AutoMONAI, Table 4.1: which parameters matter, one at a time, by ANOVA with Bonferroni's correction.

python -m documents.table_4_1 [PROBLEM ...]

There: every parameter of a U-Net varied around a standard configuration, the last five Dice scores of a training as
samples. Here: real trainings of complete tables (HPOlib, HPOBench), the repeated trainings with different seeds as
samples, around the configuration in the middle of every parameter. Independent repetitions are what the test asks for.
As the tables are complete, the share of the variance that each parameter has over the *whole* space stands beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from search.problems import problem
from search.problems.grids import Grid

from documents.report import table, write
from hpo_engine.analysis.anova import VarianceTest, one_at_a_time
from hpo_engine.parameters import FloatArray

DOCUMENT = (
    ("depth", "3.09", "3.93e-2"), ("convolution type", "111", "5.64e-6"), ("number of convolutions", "1.40", "2.69e-1"),
    ("channel multiplier", "3.09 (sic)", "4.54e-17"), ("channels in the first layer", "10.8", "4.04e-4"),
    ("loss function", "29.9", "1.44e-9"), ("normalization", "2.09", "1.42e-1"), ("resampling", "1.81", "1.92e-1"),
)  # fmt: skip


def one_dimensional_runs(grid: Grid) -> dict[str, dict[str | int | float, list[float]]]:
    """By parameter and setting: the losses of all repetitions, all other parameters in the middle."""
    middle = {p.name: p.value((p.cells or 1) // 2) for p in grid.space.parameters}
    return {
        p.name: {
            (value := p.value(cell)): _transformed(grid, grid.finals[grid.row(middle | {p.name: value})]).tolist()
            for cell in range(p.cells or 0)
        }
        for p in grid.space.parameters
    }


def main_shares(grid: Grid) -> dict[str, float]:
    """Exact share of the variance over the whole space that each parameter has alone."""
    shape = [p.cells or 0 for p in grid.space.parameters]
    means = _transformed(grid, grid.means).reshape(shape)
    others = [tuple(k for k in range(len(shape)) if k != j) for j in range(len(shape))]
    return {
        p.name: float(np.var(means.mean(axis=axes)) / np.var(means))
        for p, axes in zip(grid.space.parameters, others, strict=True)
    }


def _transformed(grid: Grid, losses: FloatArray) -> FloatArray:
    """Losses that span orders of magnitude as logarithms, which is the scale on which their noise is alike."""
    return np.asarray(np.log(losses) if grid.log else losses)


def _row(name: str, test: VarianceTest, share: float) -> list[str]:
    numbers = [f"{test.f:.3g}", f"{test.p:.2e}", f"{test.bonferroni:.2e}", f"{test.holm:.2e}"]
    return [name, *numbers, "yes" if test.significant else "no", f"{share:.1%}"]


def main(problems: Sequence[str]) -> None:
    headings = ("parameter", "F", "p", "Bonferroni", "Holm", "significant", "share of the whole space")
    parts, raw = [], {}
    for name in problems:
        grid = problem(name)
        assert isinstance(grid, Grid)  # complete tables alone have every one-dimensional run
        tests, shares = one_at_a_time(one_dimensional_runs(grid)), main_shares(grid)
        parts += [f"## {name}", table(headings, [_row(p, test, shares[p]) for p, test in tests.items()])]
        raw[name] = {p: vars(test) | {"whole": shares[p]} for p, test in tests.items()}
    parts += ["## In the document", table(("parameter", "F", "p"), DOCUMENT)]
    parts.append(
        "The document's samples are five evaluations of one training, its threshold 0.05 / 7 = 7.1e-3 for eight "
        "parameters; the F of the channel multiplier is printed as that of the depth, which its p contradicts."
    )
    write("table_4_1", "Which parameters matter, one at a time (AutoMONAI, Table 4.1)", parts, raw)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("problems", nargs="*", default=["hpolib-protein+curve", "hpobench-segment+curve"])
    main(parser.parse_args().problems)
