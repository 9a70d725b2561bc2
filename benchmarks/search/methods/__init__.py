"""All methods by name, with the interpreter (a virtual environment under ``.bench-venvs``) that each needs.

A peer's module is imported only in its own environment, when a run needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from search.cluster import Method
from search.problems.base import Problem


@dataclass(frozen=True)
class Entry:
    """``module.cls`` makes the method; ``venv`` None: the repository's own; ``package``: whose version to record."""

    module: str
    cls: str
    venv: str | None = None
    package: str | None = None


METHODS: dict[str, Entry] = {
    "random": Entry("random_search", "RandomSearch"),
    "optuna-random": Entry("optuna_methods", "Optuna", "optuna", "optuna"),
    "optuna-tpe": Entry("optuna_methods", "Optuna", "optuna", "optuna"),
    "optuna-tpe-hyperband": Entry("optuna_methods", "Optuna", "optuna", "optuna"),
    "optuna-gp": Entry("optuna_methods", "Optuna", "optuna", "optuna"),
    "synetune-random": Entry("synetune_methods", "SyneTune", "synetune", "syne-tune"),
    "synetune-asha": Entry("synetune_methods", "SyneTune", "synetune", "syne-tune"),
    "synetune-mobster": Entry("synetune_methods", "SyneTune", "synetune", "syne-tune"),
    "synetune-hypertune": Entry("synetune_methods", "SyneTune", "synetune", "syne-tune"),
    "synetune-dyhpo": Entry("synetune_methods", "SyneTune", "synetune", "syne-tune"),
    "smac-mf": Entry("smac_methods", "Smac", "smac", "smac"),
    "hpbandster-bohb": Entry("hpbandster_methods", "HpBandSter", "hpbandster", "hpbandster"),
    "dehb": Entry("dehb_methods", "Dehb", "dehb", "dehb"),
    "hebo": Entry("hebo_methods", "Hebo", "hebo", "hebo"),
    "skopt-katib": Entry("skopt_methods", "SkoptKatib", "skopt", "scikit-optimize"),
}


def entry(name: str) -> Entry:
    """Raises ValueError for a name that is no method's."""
    if name.startswith("ours-"):
        return Entry("ours", "Ours", None, None)
    if name not in METHODS:
        raise ValueError(f"expected a method out of {', '.join(METHODS)} or ours-<sampler>-<scheduler>, found {name}")
    return METHODS[name]


def make(name: str, problem: Problem, workers: int, seed: int) -> Method:
    where = entry(name)
    cls = getattr(import_module(f"search.methods.{where.module}"), where.cls)
    return cast(Method, cls(name, problem, workers, seed))
