"""Table 2.3 of the thesis on hyper-parameters: Bayesian optimisation against random search over a list of models.

python -m documents.table_2_3 [--starts 600] [--models 600] [--seed 0] [PROBLEM ...]

Every model of the list is once the first draw of a Bayesian search; as many random orders stand beside them. As in the
thesis the losses are the same in every search. Unlike there, five draws of a space-filling design follow the first.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from documents.report import save, table, write
from documents.tables import MODELS, real_table
from hpo_engine.analysis.goals import Draws, draws_to, expected_random_draws, goals
from hpo_engine.analysis.table_search import Table, random_order, search_order
from hpo_engine.parameters import IntArray

DOCUMENT = {
    "best": ("297 ± 171", 599, "87 ± 64", 249),
    "within 1 %": ("146 ± 114", 554, "26 ± 16", 120),
    "within 5 %": ("87 ± 75", 397, "17 ± 11", 67),
    "within 10 %": ("54 ± 52", 296, "15 ± 9", 44),
    "top 1 %": ("87 ± 75", 397, "17 ± 11", 67),
    "top 5 %": ("18 ± 17", 106, "10 ± 8", 38),
    "top 10 %": ("10 ± 10", 62, "7 ± 7", 36),
}
PROBLEMS = (
    "taskset-lstm128-embed",
    "taskset-gru64",
    "taskset-vrnn64",
    "hpolib-protein+curve",
    "nasbench201-cifar10+curve",
)
HEADINGS = ("goal", "models", "random", "(theory)", "worst", "BO", "worst", "thesis: random", "worst", "BO", "worst")


def main(problems: Sequence[str], starts: int, models: int, seed: int) -> None:
    parts, raw, curves = [], {}, {}
    for name in problems:
        found = real_table(name, models, seed)
        firsts = np.linspace(0, len(found.losses) - 1, min(starts, len(found.losses))).round().astype(int).tolist()
        begin = time.perf_counter()
        searched = [search_order(found, first, seed) for first in firsts]
        seconds = time.perf_counter() - begin
        lucky = [random_order(found, seed, i) for i in range(len(firsts))]
        draws = {
            goal: (int(m.sum()), draws_to(m, lucky), draws_to(m, searched)) for goal, m in goals(found.losses).items()
        }
        rows = [_row(goal, len(found.losses), *row) for goal, row in draws.items()]
        parts += [
            f"## {name}",
            table(HEADINGS, rows),
            f"{len(found.losses)} models, {len(firsts)} starting points, {len(lucky)} random orders; {seconds:.0f} s "
            f"for the searches ({1000 * seconds / sum(map(len, searched)):.1f} ms a draw).",
        ]
        raw[name] = {goal: {"models": count, "random": vars(r), "bo": vars(b)} for goal, (count, r, b) in draws.items()}
        curves[name] = (_median_loss(found, lucky), _median_loss(found, searched))
    parts.append(save(_picture(curves), "table_2_3"))
    write("table_2_3", "Draws until a goal is reached (thesis, Table 2.3)", parts, raw)


def _row(goal: str, models: int, count: int, lucky: Draws, searched: Draws) -> list[object]:
    theory = f"{expected_random_draws(models, count):.0f}"
    mine = [_draws(lucky), theory, lucky.worst, _draws(searched), searched.worst]
    return [goal, count, *mine, *DOCUMENT[goal]]


def _draws(draws: Draws) -> str:
    return f"{draws.average:.0f} ± {draws.sd:.0f}"


def _median_loss(found: Table, orders: Sequence[IntArray]) -> list[float]:
    """Over the searches: the median of the lowest loss so far, after each draw. A search ends at the best."""
    lowest = np.full((len(orders), len(found.losses)), np.min(found.losses))
    for row, order in zip(lowest, orders, strict=True):
        row[: len(order)] = np.minimum.accumulate(found.losses[order])
    return [float(value) for value in np.median(lowest, axis=0)]


def _picture(curves: Mapping[str, tuple[list[float], list[float]]]) -> Figure:
    figure = Figure(figsize=(4.2 * len(curves), 3.4), layout="constrained")
    for axes, (name, (lucky, searched)) in zip(
        np.atleast_1d(figure.subplots(1, len(curves))), curves.items(), strict=True
    ):
        axes.plot(range(1, len(lucky) + 1), lucky, label="random", color="grey")
        axes.plot(range(1, len(searched) + 1), searched, label="BO", color="#dd6b20")
        axes.set(title=name, xlabel="draws", xscale="log", ylabel="lowest loss so far (median)")
        axes.legend(frameon=False)
        axes.grid(alpha=0.25)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("problems", nargs="*", default=PROBLEMS)
    parser.add_argument("--starts", type=int, default=MODELS)
    parser.add_argument("--models", type=int, default=MODELS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with threadpool_limits(1):
        main(given.problems, given.starts, given.models, given.seed)
