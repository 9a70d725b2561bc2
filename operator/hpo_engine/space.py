"""The search space of a study: parameters, the conditions between them, and the unit cube they span.

A configuration is a dict of its **active** parameters. Its encoding has one coordinate in [0, 1] per parameter of the
space, in their order, and NaN where a parameter is inactive: the kernel must see "does not exist", not a made-up value.
Conditions form a forest (every parameter has at most one parent), which makes counting and enumeration exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from math import prod

import numpy as np
from numpy.typing import NDArray

from hpo_engine.errors import StudyError
from hpo_engine.parameters import (
    CategoricalParameter,
    Condition,
    FloatArray,
    FloatParameter,
    IntParameter,
    OrdinalParameter,
    Parameter,
)
from hpo_engine.space_rules import active_cells, check_parameters, check_value
from hpo_engine.trial import Parameters, Value

__all__ = [
    "CategoricalParameter",
    "Condition",
    "FloatParameter",
    "IntParameter",
    "OrdinalParameter",
    "Parameter",
    "Space",
]


@dataclass(frozen=True)
class Space:
    """A sound search space.

    Raises:
        StudyError: at construction, with ``field`` such as ``parameters[2].when.parameter``.
    """

    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        check_parameters(self.parameters)

    @property
    def dimension(self) -> int:
        return len(self.parameters)

    def size(self) -> int | None:
        """Number of different configurations; None when a parameter is continuous."""
        if any(p.cells is None for p in self.parameters):
            return None
        return prod(self._count(root) for root in self._children[None])

    def active(self, parameters: Mapping[str, Value]) -> tuple[str, ...]:
        """Names of the parameters that exist in this configuration, in the space's order."""
        active: set[str] = set()
        for p in self._parents_first:
            c = p.condition
            if c is None or (c.parameter in active and c.parameter in parameters and c.holds(parameters[c.parameter])):
                active.add(p.name)
        return tuple(p.name for p in self.parameters if p.name in active)

    def check(self, parameters: Mapping[str, Value]) -> None:
        """Raises StudyError unless ``parameters`` is a configuration of this space, exactly its active ones."""
        known = {p.name for p in self.parameters}
        for name in parameters:
            if name not in known:
                raise StudyError(f"parameters.{name}", "expected a parameter of the study, found an unknown name")
        active = self.active(parameters)
        for p in self.parameters:
            path = f"parameters.{p.name}"
            if p.name in active and p.name not in parameters:
                raise StudyError(path, "expected a value, found none")
            if p.name not in active and p.name in parameters:
                assert p.condition is not None  # all others are active
                raise StudyError(path, f"expected no value, as {p.condition.parameter!r} excludes it, found one")
            if p.name in parameters:
                check_value(p, parameters[p.name], path)

    def encode(self, parameters: Mapping[str, Value]) -> FloatArray:
        """Coordinates (d,) in the unit cube, NaN where inactive. Numbers out of bounds are clipped."""
        active = self.active(parameters)
        return np.array(
            [
                p.encode(parameters[p.name]) if p.name in active and p.name in parameters else np.nan
                for p in self.parameters
            ],
            dtype=np.float64,
        )

    def decode(self, u: FloatArray) -> Parameters:
        """The configuration at ``u`` (d,). Coordinates of inactive parameters are not looked at.

        Raises:
            ValueError: the coordinate of an active parameter is NaN.
        """
        values: Parameters = {}
        for i in self._order:
            p = self.parameters[i]
            c = p.condition
            if c is None or (c.parameter in values and c.holds(values[c.parameter])):
                if np.isnan(u[i]):
                    raise ValueError(f"{p.name} is active, but its coordinate is NaN")
                values[p.name] = p.decode(min(max(float(u[i]), 0.0), 1.0))
        return {p.name: values[p.name] for p in self.parameters if p.name in values}

    def snap(self, points: FloatArray) -> FloatArray:
        """``encode(decode(u))`` of many points (n, d) at once, up to the rounding of floats."""
        snapped = np.clip(points, 0.0, 1.0)
        for i in self._order:
            p = self.parameters[i]
            if p.cells is not None:
                snapped[:, i] = p.place(p.cell(snapped[:, i]))
            if p.condition is not None:
                snapped[~self._holds(p.condition, points, snapped), i] = np.nan
        return snapped

    def key(self, parameters: Mapping[str, Value]) -> str:
        """A canonical text: equal for equal configurations, whatever the order or the type of their numbers."""
        active = self.active(parameters)
        items = {
            p.name: parameters[p.name] if isinstance(p, CategoricalParameter) else float(parameters[p.name])
            for p in self.parameters
            if p.name in active and p.name in parameters
        }
        return json.dumps(items, separators=(",", ":"))

    def configurations(self) -> Iterator[Parameters]:
        """Every configuration of a finite space, in the order of the cells.

        Raises:
            ValueError: the space is infinite.
        """
        if self.size() is None:
            raise ValueError("a space with a continuous parameter has no list of configurations")
        for parts in product(*(tuple(self._subtree(root)) for root in self._children[None])):
            merged = {name: value for part in parts for name, value in part.items()}
            yield {p.name: merged[p.name] for p in self.parameters if p.name in merged}

    @cached_property
    def _children(self) -> dict[str | None, list[Parameter]]:
        children: dict[str | None, list[Parameter]] = {None: [], **{p.name: [] for p in self.parameters}}
        for p in self.parameters:
            children[None if p.condition is None else p.condition.parameter].append(p)
        return children

    @cached_property
    def _parents_first(self) -> tuple[Parameter, ...]:
        order, front = [], list(self._children[None])
        while front:
            order.extend(front)
            front = [child for p in front for child in self._children[p.name]]
        return tuple(order)

    @cached_property
    def _order(self) -> tuple[int, ...]:
        return tuple(self._index[p.name] for p in self._parents_first)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {p.name: i for i, p in enumerate(self.parameters)}

    def _holds(self, condition: Condition, points: FloatArray, snapped: FloatArray) -> NDArray[np.bool_]:
        """Where the parent (already snapped) is active and fulfils the condition (n,)."""
        i = self._index[condition.parameter]
        parent = self.parameters[i]
        active = ~np.isnan(snapped[:, i])
        u = np.where(active, snapped[:, i], 0.5)
        if isinstance(parent, CategoricalParameter):
            wanted = [parent.choices.index(value) for value in condition.values or ()]
            return active & np.isin(parent.cell(u), wanted)
        if parent.cells is not None:
            first, last = active_cells(condition, parent)
            cell = parent.cell(u)
            return active & (first <= cell) & (cell < last)
        numbers = parent.numbers(u)
        if condition.low is not None:
            active &= numbers >= condition.low
        if condition.high is not None:
            active &= numbers <= condition.high
        return active

    def _count(self, p: Parameter) -> int:
        """Configurations of ``p`` and everything that depends on it."""
        assert p.cells is not None  # size() asks for finite spaces only
        children = self._children[p.name]
        if isinstance(p, CategoricalParameter):
            return sum(
                prod(self._count(c) for c in children if c.condition and c.condition.holds(choice))
                for choice in p.choices
            )
        ranges = [(active_cells(c.condition, p), self._count(c)) for c in children if c.condition]
        edges = sorted({0, p.cells, *(edge for cells, _ in ranges for edge in cells)})
        return sum(
            (end - start) * prod(count for (first, last), count in ranges if first <= start < last)
            for start, end in pairwise(edges)
        )

    def _subtree(self, p: Parameter) -> Iterator[Parameters]:
        assert p.cells is not None  # configurations() refuses infinite spaces
        for cell in range(p.cells):
            value = p.value(cell)
            active = [c for c in self._children[p.name] if c.condition and c.condition.holds(value)]
            for parts in product(*(tuple(self._subtree(c)) for c in active)):
                yield {p.name: value} | {name: v for part in parts for name, v in part.items()}
