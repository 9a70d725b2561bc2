"""All problems by name. Nobody tunes anything on those that are held out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from search.problems.base import Problem
from search.problems.grids import hpobench, hpolib, nasbench201
from search.problems.synthetic import branin_curve, hartmann6_curve, mixed_curve
from search.problems.taskset import TASKS, taskset

_MAKERS: dict[str, Callable[[str], Problem]] = {
    "branin+curve": branin_curve,
    "hartmann6+curve": hartmann6_curve,
    "mixed+curve": mixed_curve,
    **dict.fromkeys(TASKS, taskset),
    **{f"hpolib-{name}+curve": hpolib for name in ("naval", "parkinsons", "protein", "slice")},
    **{f"hpobench-{name}+curve": hpobench for name in ("vehicle", "segment", "phoneme")},
    **{f"nasbench201-{name}+curve": nasbench201 for name in ("cifar10", "cifar100", "imagenet")},
}
NAMES = tuple(_MAKERS)
DEV = ("branin+curve", "hartmann6+curve", "mixed+curve", "taskset-lstm128-avg", "taskset-irnn64")
HELD_OUT = tuple(name for name in NAMES if name not in DEV)


@cache
def problem(name: str) -> Problem:
    return _MAKERS[name](name)
