"""Every configuration of a finite space by number, whole blocks at a time.

The numbers 0 .. size - 1 follow the order of ``Space.configurations()``: mixed-radix digits over the parameters without
a parent, the last one fastest. Under a condition the radix changes from cell to cell, so each parameter keeps
segments: runs of cells that bring the same children to life and therefore count the same number of configurations.
That makes a block of encodings a matter of a few divisions, without a loop over configurations.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from hpo_engine.parameters import CategoricalParameter, FloatArray, IntArray, Parameter
from hpo_engine.space import Space
from hpo_engine.space_rules import active_cells
from hpo_engine.trial import Parameters, Value

BLOCK = 4096
"""Configurations in a block; few enough that a model's working memory for them stays in the processor's caches."""
LARGEST = 2**62
"""Configurations that can be numbered in 64 bits."""


@dataclass(frozen=True)
class Segment:
    """Cells [first, last) with the same active ``children``: ``each`` configurations a cell, from ``offset`` on."""

    first: int
    last: int
    children: tuple[Parameter, ...]
    each: int
    offset: int

    @property
    def end(self) -> int:
        return self.offset + (self.last - self.first) * self.each


class Enumeration:
    """The configurations of a finite space and their numbers.

    Raises:
        ValueError: the space has a continuous parameter, or more than LARGEST configurations.
    """

    def __init__(self, space: Space) -> None:
        size = space.size()
        if size is None or size > LARGEST:
            raise ValueError(
                f"expected a finite space of at most {LARGEST} configurations, found {size or 'a continuum'}"
            )
        self.space, self.size = space, size
        self._column = {p.name: j for j, p in enumerate(space.parameters)}
        self._segments: dict[str, tuple[Segment, ...]] = {}
        self._roots = self._children_of(None)
        for root in self._roots:
            self._measure(root)

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[int, FloatArray]]:
        """(number of the first, encodings (b, d) with NaN where inactive), b <= ``size``, ascending and complete."""
        for first in range(0, self.size, size):
            yield first, self.encoded(np.arange(first, min(first + size, self.size)))

    def encoded(self, numbers: IntArray) -> FloatArray:
        """Encodings (b, d) of the configurations with ``numbers`` (b,), each in [0, size)."""
        points = np.full((len(numbers), self.space.dimension), np.nan)
        self._split(self._roots, np.asarray(numbers, dtype=np.int64), np.arange(len(numbers)), points)
        return points

    def configuration(self, number: int) -> Parameters:
        """The configuration with this number, 0 <= ``number`` < size.

        Raises:
            IndexError: there is no such number.
        """
        if not 0 <= number < self.size:
            raise IndexError(f"expected a number from 0 to {self.size - 1}, found {number}")
        return self.space.decode(self.encoded(np.array([number]))[0])

    def number(self, parameters: Mapping[str, Value]) -> int:
        """The number of a configuration, which must be one of the space."""
        return self._joined(self._roots, parameters)

    def numbers_of_keys(self, keys: Collection[str]) -> IntArray:
        """Ascending numbers (u,) of configurations given by their ``Space.key``."""
        return np.array(sorted({self.number(json.loads(key)) for key in keys}), dtype=np.int64)

    def _children_of(self, name: str | None) -> tuple[Parameter, ...]:
        return tuple(
            p for p in self.space.parameters if (None if p.condition is None else p.condition.parameter) == name
        )

    def _count(self, p: Parameter) -> int:
        return self._segments[p.name][-1].end

    def _measure(self, p: Parameter) -> None:
        """The segments of ``p`` and of everything below it."""
        children = self._children_of(p.name)
        for child in children:
            self._measure(child)
        segments, offset = [], 0
        for first, last, active in _runs(p, children):
            each = prod(self._count(child) for child in active)
            segments.append(Segment(first, last, active, each, offset))
            offset = segments[-1].end
        self._segments[p.name] = tuple(segments)

    def _split(self, parameters: Sequence[Parameter], digits: IntArray, rows: IntArray, points: FloatArray) -> None:
        """Write independent ``parameters`` and all below them into ``rows`` (m,) of ``points``."""
        for p in reversed(parameters):
            digits, digit = np.divmod(digits, self._count(p))
            self._fill(p, digit, rows, points)

    def _fill(self, p: Parameter, digits: IntArray, rows: IntArray, points: FloatArray) -> None:
        for segment in self._segments[p.name]:
            inside = (digits >= segment.offset) & (digits < segment.end)
            if inside.any():
                cells, rest = np.divmod(digits[inside] - segment.offset, segment.each)
                points[rows[inside], self._column[p.name]] = p.place(segment.first + cells)
                self._split(segment.children, rest, rows[inside], points)

    def _joined(self, parameters: Sequence[Parameter], values: Mapping[str, Value]) -> int:
        number = 0
        for p in parameters:
            cell = int(p.cell(np.asarray(p.encode(values[p.name]))))
            segment = next(s for s in self._segments[p.name] if s.first <= cell < s.last)
            digit = segment.offset + (cell - segment.first) * segment.each + self._joined(segment.children, values)
            number = number * self._count(p) + digit
        return number


def _runs(p: Parameter, children: Sequence[Parameter]) -> Iterator[tuple[int, int, tuple[Parameter, ...]]]:
    """Runs of cells [first, last) of ``p``, ascending and complete, and the ``children`` that are active there."""
    assert p.cells is not None  # the space is finite
    edges = sorted({0, p.cells, *(edge for child in children for edge in _edges(p, child))})
    for first, last in pairwise(edges):
        value = p.value(first)
        yield first, last, tuple(c for c in children if c.condition is not None and c.condition.holds(value))


def _edges(p: Parameter, child: Parameter) -> tuple[int, ...]:
    """Cells of ``p`` at which ``child`` may come to life or cease to exist."""
    assert child.condition is not None  # it is a child
    if isinstance(p, CategoricalParameter):
        return tuple(range(p.cells))
    return active_cells(child.condition, p)
