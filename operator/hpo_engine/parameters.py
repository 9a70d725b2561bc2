"""One dimension of a search space: its values, and how they lie in the unit interval.

Samplers and surrogates work in [0, 1]; users write numbers and names. Every kind of parameter maps one to the other
such that ``decode(encode(value)) == value`` for every value that ``decode`` can return. Discrete kinds own cells of the
interval and encode to a place inside their cell, so that last-bit noise between machines cannot change a suggestion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo_engine.trial import Value

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SIGNIFICANT_DIGITS = 6
"""Of a suggested float; more would only be read as noise."""
MAX_CELLS = 2**40
"""Beyond it a double cannot tell one cell of the unit interval from the next."""


@dataclass(frozen=True)
class Condition:
    """The parameter exists only while ``parameter`` has one of ``values``, or lies in [``low``, ``high``]."""

    parameter: str
    values: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None

    def holds(self, value: Value) -> bool:
        if self.values is not None:
            return value in self.values
        if isinstance(value, str):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class FloatParameter:
    """A real number in [low, high]; with ``step`` only low, low + step, ... not beyond high."""

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    condition: Condition | None = None

    @property
    def cells(self) -> int | None:
        """Number of distinct values; None: a continuum."""
        return None if self.step is None else math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def value(self, cell: int) -> float:
        assert self.step is not None  # only lattices have cells
        decimals = 9 - math.floor(math.log10(self.step))  # so that 0.1 + 2 * 0.1 is 0.3
        return min(max(round(self.low + cell * self.step, decimals), self.low), self.high)

    def encode(self, value: Value) -> float:
        x = min(max(float(value), self.low), self.high)
        if self.step is not None:
            return (min(round((x - self.low) / self.step), self._cells - 1) + 0.5) / self._cells
        if self.log:
            return math.log(x / self.low) / math.log(self.high / self.low)
        return (x - self.low) / (self.high - self.low)

    def decode(self, u: float) -> float:
        if self.step is not None:
            return self.value(int(self.cell(np.asarray(u))))
        x = float(self.numbers(np.asarray(u)))
        return min(max(round(x, self._decimals(x)), self.low), self.high)

    def cell(self, u: FloatArray) -> IntArray:
        return _equal_cell(u, self._cells)

    def place(self, cell: IntArray) -> FloatArray:
        return (cell + 0.5) / self._cells

    def edges(self, cell: IntArray) -> tuple[FloatArray, FloatArray]:
        return cell / self._cells, (cell + 1) / self._cells

    def numbers(self, u: FloatArray) -> FloatArray:
        """Values at ``u``, element by element, before the rounding of ``decode``."""
        if self.step is not None:
            return np.asarray(self.low + self.cell(u) * self.step)
        if self.log:
            return np.asarray(self.low * np.exp(u * math.log(self.high / self.low)))
        return self.low + u * (self.high - self.low)

    @property
    def _cells(self) -> int:
        assert self.cells is not None  # only lattices have cells
        return self.cells

    def _decimals(self, x: float) -> int:
        """Six significant digits of the range; on a log scale of the value, or of a range narrower than the value.

        Never finer than what a double resolves at the bounds.
        """
        decimals = SIGNIFICANT_DIGITS - math.ceil(math.log10(self.high - self.low))
        if self.log:
            decimals = max(decimals, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(x)))
            return min(decimals, 13 - math.ceil(math.log10(x)))
        return min(decimals, 14 - math.ceil(math.log10(max(abs(self.low), abs(self.high)))))


@dataclass(frozen=True)
class IntParameter:
    """A whole number low, low + step, ... not beyond high; on a log scale cells shrink with the value."""

    name: str
    low: int
    high: int
    log: bool = False
    step: int = 1
    condition: Condition | None = None

    @property
    def cells(self) -> int:
        return (self.high - self.low) // self.step + 1

    def value(self, cell: int) -> int:
        return self.low + cell * self.step

    def encode(self, value: Value) -> float:
        cell = min(max(round((float(value) - self.low) / self.step), 0), self.cells - 1)
        return float(self.place(np.asarray(cell)))

    def decode(self, u: float) -> int:
        return self.value(int(self.cell(np.asarray(u))))

    def cell(self, u: FloatArray) -> IntArray:
        if not self.log:
            return _equal_cell(u, self.cells)
        start, end = self._log_edges
        nearest = np.rint((np.exp(start + u * (end - start)) - self.low) / self.step)
        return np.clip(nearest, 0, self.cells - 1).astype(np.int64)

    def place(self, cell: IntArray) -> FloatArray:
        if not self.log:
            return (cell + 0.5) / self.cells
        start, end = self._log_edges
        return np.asarray((np.log(self.low + cell * float(self.step)) - start) / (end - start))

    def edges(self, cell: IntArray) -> tuple[FloatArray, FloatArray]:
        """Where each cell begins and ends in the unit interval; ``place`` lies between."""
        if not self.log:
            return cell / self.cells, (cell + 1) / self.cells
        start, end = self._log_edges
        middle = self.low + cell * float(self.step)
        first = np.log(np.maximum(middle - self.step / 2, np.exp(start)))
        return (first - start) / (end - start), (np.log(middle + self.step / 2) - start) / (end - start)

    def numbers(self, u: FloatArray) -> FloatArray:
        return np.asarray(self.low + self.cell(u) * float(self.step))

    @property
    def _log_edges(self) -> tuple[float, float]:
        """Half a step beyond the first and the last value, lest plain rounding give the ends half a cell too little."""
        first = max(self.low - self.step / 2, self.low / 2)
        return math.log(first), math.log(self.value(self.cells - 1) + self.step / 2)


@dataclass(frozen=True)
class OrdinalParameter:
    """One of a few ascending numbers; only their order is meant, so they are encoded by rank."""

    name: str
    values: tuple[float, ...]
    condition: Condition | None = None

    @property
    def cells(self) -> int:
        return len(self.values)

    def value(self, cell: int) -> int | float:
        value = self.values[cell]
        return int(value) if float(value).is_integer() else float(value)

    def encode(self, value: Value) -> float:
        distances = [abs(float(value) - v) for v in self.values]
        return (distances.index(min(distances)) + 0.5) / self.cells

    def decode(self, u: float) -> int | float:
        return self.value(int(self.cell(np.asarray(u))))

    def cell(self, u: FloatArray) -> IntArray:
        return _equal_cell(u, self.cells)

    def place(self, cell: IntArray) -> FloatArray:
        return (cell + 0.5) / self.cells

    def edges(self, cell: IntArray) -> tuple[FloatArray, FloatArray]:
        return cell / self.cells, (cell + 1) / self.cells

    def numbers(self, u: FloatArray) -> FloatArray:
        return np.asarray(self.values, dtype=np.float64)[self.cell(u)]


@dataclass(frozen=True)
class CategoricalParameter:
    """One of several names in no order. Its coordinate only tells which; the kernel asks no more than equal or not."""

    name: str
    choices: tuple[str, ...]
    condition: Condition | None = None

    @property
    def cells(self) -> int:
        return len(self.choices)

    def value(self, cell: int) -> str:
        return self.choices[cell]

    def encode(self, value: Value) -> float:
        return (self.choices.index(str(value)) + 0.5) / self.cells

    def decode(self, u: float) -> str:
        return self.value(int(self.cell(np.asarray(u))))

    def cell(self, u: FloatArray) -> IntArray:
        return _equal_cell(u, self.cells)

    def place(self, cell: IntArray) -> FloatArray:
        return (cell + 0.5) / self.cells


Parameter = FloatParameter | IntParameter | CategoricalParameter | OrdinalParameter


def _equal_cell(u: FloatArray, cells: int) -> IntArray:
    return np.clip(np.floor(u * cells), 0, cells - 1).astype(np.int64)
