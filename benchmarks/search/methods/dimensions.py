"""The space as peers know one: reals, whole numbers and choices, each on a linear or a logarithmic scale.

Ordinals and stepped reals become the whole numbers 0..cells-1, so that every peer sees the same even scale as our own
engine. ``parent`` and ``allowed`` tell peers that know conditions when a dimension exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo_engine.space import CategoricalParameter, FloatParameter, IntParameter, Parameter, Space
from hpo_engine.trial import Parameters, Value


@dataclass(frozen=True)
class Dimension:
    """``kind``: "real", "whole" or "choice". ``low``, ``high`` and ``log`` are of the numbers that the peer sees."""

    parameter: Parameter
    kind: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.parameter.name

    def value(self, seen: Any) -> Value:
        """The parameter's value for what the peer suggested."""
        p = self.parameter
        if isinstance(p, CategoricalParameter):
            return str(seen)
        if isinstance(p, FloatParameter) and p.step is None:
            return min(max(float(seen), p.low), p.high)
        if isinstance(p, IntParameter) and p.step == 1:
            return min(max(round(float(seen)), p.low), p.high)
        return p.value(round(float(seen)))


def dimensions(space: Space) -> list[Dimension]:
    return [_dimension(p) for p in space.parameters]


def parameters(space: Space, seen: Mapping[str, Any]) -> Parameters:
    """The configuration of what a peer suggested; values of inactive parameters, from peers without conditions, go."""
    values = {d.name: d.value(seen[d.name]) for d in dimensions(space) if d.name in seen}
    active = space.active(values)
    return {name: value for name, value in values.items() if name in active}


def parents_first(space: Space) -> list[Dimension]:
    """So that a condition's parent was suggested before. The spaces here have no chains longer than one."""
    return sorted(dimensions(space), key=lambda d: d.parameter.condition is not None)


def _dimension(p: Parameter) -> Dimension:
    if isinstance(p, CategoricalParameter):
        return Dimension(p, "choice", choices=p.choices)
    if isinstance(p, FloatParameter) and p.step is None:
        return Dimension(p, "real", p.low, p.high, p.log)
    if isinstance(p, IntParameter) and p.step == 1:
        return Dimension(p, "whole", p.low, p.high, p.log)
    return Dimension(p, "whole", 0, (p.cells or 1) - 1)
