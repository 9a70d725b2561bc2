"""The space as a ``ConfigSpace``, with its conditions: for SMAC, HpBandSter and DEHB."""

from __future__ import annotations

from typing import Any

import ConfigSpace
from ConfigSpace import hyperparameters as kinds

from hpo_engine.space import Space
from search.methods.dimensions import Dimension, dimensions


def configuration_space(space: Space, seed: int) -> Any:
    result = ConfigSpace.ConfigurationSpace(seed=seed)
    made = {d.name: _hyperparameter(d) for d in dimensions(space)}
    for hyperparameter in made.values():
        _add(result, hyperparameter)
    for d in dimensions(space):
        c = d.parameter.condition
        if c is not None and c.values is not None:
            _add(result, ConfigSpace.InCondition(made[d.name], made[c.parameter], list(c.values)))
        elif c is not None and c.low is not None:
            _add(result, ConfigSpace.GreaterThanCondition(made[d.name], made[c.parameter], int(c.low) - 1))
    return result


def _hyperparameter(d: Dimension) -> Any:
    if d.kind == "choice":
        return kinds.CategoricalHyperparameter(d.name, list(d.choices))
    if d.kind == "real":
        return kinds.UniformFloatHyperparameter(d.name, lower=d.low, upper=d.high, log=d.log)
    return kinds.UniformIntegerHyperparameter(d.name, lower=int(d.low), upper=int(d.high), log=d.log)


def _add(space: Any, item: Any) -> None:
    """ConfigSpace 1 renamed the two methods of its older versions."""
    if hasattr(space, "add"):
        space.add(item)
    elif isinstance(item, kinds.Hyperparameter):
        space.add_hyperparameter(item)
    else:
        space.add_condition(item)
