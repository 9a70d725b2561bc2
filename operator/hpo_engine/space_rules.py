"""What makes a search space sound.

Every refusal names the place as a user writes it, what was expected there, and what was found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from hpo_engine.errors import StudyError, listed
from hpo_engine.parameters import (
    MAX_CELLS,
    CategoricalParameter,
    Condition,
    FloatParameter,
    IntParameter,
    OrdinalParameter,
    Parameter,
)
from hpo_engine.trial import Value

T = TypeVar("T")

VALUES_IN_RANGE = 2**20
"""A continuous range must hold at least this many doubles."""


def check_parameters(parameters: Sequence[Parameter]) -> None:
    """Raises StudyError for the first thing that is wrong."""
    if not parameters:
        raise StudyError("parameters", "expected at least one parameter, found none")
    places: dict[str, int] = {}
    for i, parameter in enumerate(parameters):
        path = f"parameters[{i}]"
        if parameter.name in places:
            first = places[parameter.name]
            raise StudyError(
                f"{path}.name", f"expected a unique name, found {parameter.name!r}, as parameters[{first}]"
            )
        places[parameter.name] = i
        match parameter:
            case FloatParameter():
                _check_float(parameter, f"{path}.float")
            case IntParameter():
                _check_int(parameter, f"{path}.int")
            case CategoricalParameter():
                _check_categorical(parameter, f"{path}.categorical.choices")
            case OrdinalParameter():
                _check_ordinal(parameter, f"{path}.ordinal.values")
    for i, parameter in enumerate(parameters):
        if parameter.condition is not None:
            _check_condition(parameter, parameter.condition, parameters, places, f"parameters[{i}].when")
    _check_acyclic(parameters, places)


def check_value(parameter: Parameter, value: Value, path: str) -> None:
    """Raises StudyError unless ``value`` is one that the parameter can take."""
    match parameter:
        case CategoricalParameter():
            if value not in parameter.choices:
                raise StudyError(path, f"expected one of {listed(parameter.choices)}, found {value!r}")
            return
        case OrdinalParameter():
            if isinstance(value, bool | str) or value not in parameter.values:
                raise StudyError(path, f"expected one of {', '.join(map(_show, parameter.values))}, found {value!r}")
            return
    low, high, step = parameter.low, parameter.high, parameter.step
    kind = "an integer" if isinstance(parameter, IntParameter) else "a number"
    wrong = isinstance(value, bool | str) or (isinstance(parameter, IntParameter) and not isinstance(value, int))
    if wrong or not low <= float(value) <= high:
        raise StudyError(path, f"expected {kind} from {_show(low)} to {_show(high)}, found {value!r}")
    if step is not None:
        offset = (float(value) - low) / step
        resolution = math.ulp(max(abs(low), abs(high))) / step
        if abs(offset - round(offset)) > 1e-6 + 2 * resolution:
            raise StudyError(path, f"expected {_show(low)} plus a multiple of {_show(step)}, found {value!r}")


def _check_float(p: FloatParameter, path: str) -> None:
    for key, bound in (("min", p.low), ("max", p.high)):
        if not math.isfinite(bound):
            raise StudyError(f"{path}.{key}", f"expected a finite number, found {bound}")
    _check_range(p, path)
    if not math.isfinite(p.high - p.low):
        raise StudyError(path, f"expected max - min to be a finite number, found {_show(p.low)} and {_show(p.high)}")
    if p.log and not math.isfinite(p.high / p.low):
        found = f"{_show(p.low)} and {_show(p.high)}"
        raise StudyError(path, f"expected max / min to be a finite number with scale Log, found {found}")
    finest = math.ulp(max(abs(p.low), abs(p.high)))
    if p.high - p.low < VALUES_IN_RANGE * finest:
        raise StudyError(path, f"expected min and max further apart, found {p.low!r} and {p.high!r}")
    if p.step is None:
        return
    if p.log:
        raise StudyError(f"{path}.step", f"expected no step with scale Log, found {_show(p.step)}")
    _check_step(p.step, p.high - p.low, path)
    _check_cells(p.cells or 0, path)
    if p.step < 16 * finest:
        raise StudyError(
            f"{path}.step", f"expected a step that numbers near {_show(p.high)} can tell, found {p.step!r}"
        )


def _check_int(p: IntParameter, path: str) -> None:
    _check_range(p, path)
    _check_step(p.step, p.high - p.low, path)
    _check_cells(p.cells, path)
    if p.log and p.high > MAX_CELLS:
        raise StudyError(f"{path}.max", f"expected at most {MAX_CELLS} with scale Log, found {p.high}")


def _check_range(p: FloatParameter | IntParameter, path: str) -> None:
    if p.low >= p.high:
        raise StudyError(f"{path}.min", f"expected min < max, found min {_show(p.low)} and max {_show(p.high)}")
    if p.log and p.low <= 0:
        raise StudyError(f"{path}.min", f"expected min > 0 with scale Log, found {_show(p.low)}")


def _check_step(step: float, width: float, path: str) -> None:
    if not 0 < step <= width:
        message = f"expected a step above 0 and at most max - min = {_show(width)}, found {_show(step)}"
        raise StudyError(f"{path}.step", message)


def _check_cells(cells: int, path: str) -> None:
    if cells > MAX_CELLS:
        raise StudyError(path, f"expected at most {MAX_CELLS} different values, found {cells}; take a larger step")


def _check_categorical(p: CategoricalParameter, path: str) -> None:
    if not p.choices:
        raise StudyError(path, "expected at least one choice, found none")
    if (repeated := _first_repeated(p.choices)) is not None:
        raise StudyError(path, f"expected different choices, found {repeated!r} twice")


def _check_ordinal(p: OrdinalParameter, path: str) -> None:
    if not p.values:
        raise StudyError(path, "expected at least one value, found none")
    for value in p.values:
        if not math.isfinite(value):
            raise StudyError(path, f"expected finite numbers, found {value}")
    if (repeated := _first_repeated(p.values)) is not None:
        raise StudyError(path, f"expected different values, found {_show(repeated)} twice")
    for before, after in pairwise(p.values):
        if after < before:
            raise StudyError(path, f"expected ascending values, found {_show(after)} after {_show(before)}")


def _check_condition(
    child: Parameter, condition: Condition, parameters: Sequence[Parameter], places: dict[str, int], path: str
) -> None:
    where = f"{path}.parameter"
    if condition.parameter == child.name:
        raise StudyError(where, f"expected another parameter, found {child.name!r} itself")
    if condition.parameter not in places:
        names = ", ".join(p.name for p in parameters if p is not child)
        raise StudyError(where, f"expected one of {names or 'the other parameters'}, found {condition.parameter!r}")
    parent = parameters[places[condition.parameter]]
    has_range = condition.low is not None or condition.high is not None
    if isinstance(parent, CategoricalParameter):
        if has_range or condition.values is None:
            found = "min or max" if has_range else "nothing"
            raise StudyError(path, f"expected in, because {parent.name!r} is categorical, found {found}")
        _check_condition_values(condition.values, parent, path)
    else:
        if condition.values is not None or not has_range:
            found = "in" if condition.values is not None else "nothing"
            raise StudyError(path, f"expected min or max, because {parent.name!r} is numeric, found {found}")
        _check_condition_range(condition, parent, path)


def _check_condition_values(values: tuple[str, ...], parent: CategoricalParameter, path: str) -> None:
    if not values:
        raise StudyError(f"{path}.in", f"expected at least one choice of {parent.name!r}, found none")
    for value in values:
        if value not in parent.choices:
            raise StudyError(
                f"{path}.in", f"expected choices of {parent.name!r}: {listed(parent.choices)}, found {value!r}"
            )


def _check_condition_range(
    condition: Condition, parent: FloatParameter | IntParameter | OrdinalParameter, path: str
) -> None:
    for key, bound in (("min", condition.low), ("max", condition.high)):
        if bound is not None and math.isnan(bound):
            raise StudyError(f"{path}.{key}", "expected a number, found NaN")
    low = -math.inf if condition.low is None else condition.low
    high = math.inf if condition.high is None else condition.high
    if low > high:
        raise StudyError(f"{path}.min", f"expected min <= max, found min {_show(low)} and max {_show(high)}")
    first, last = active_cells(condition, parent) if parent.cells is not None else _overlap(low, high, parent)
    if first >= last:
        ends = parent.values if isinstance(parent, OrdinalParameter) else (parent.low, parent.high)
        raise StudyError(
            path,
            f"expected a range that {parent.name!r} ({_show(ends[0])} to {_show(ends[-1])}) can reach, "
            f"found {_show(low)} to {_show(high)}",
        )


def _overlap(low: float, high: float, parent: FloatParameter | IntParameter | OrdinalParameter) -> tuple[float, float]:
    """The part of a continuum that a condition admits; a single point is never drawn, so it counts as empty."""
    assert not isinstance(parent, OrdinalParameter)  # an ordinal is no continuum
    return max(low, parent.low), min(high, parent.high)


def active_cells(condition: Condition, parent: FloatParameter | IntParameter | OrdinalParameter) -> tuple[int, int]:
    """Cells [first, last) of a discrete parent whose values fulfil a range condition, by bisection."""
    cells = parent.cells
    assert cells is not None  # the caller asks for lattices only

    def count_below(bound: float, inclusive: bool) -> int:
        low, high = 0, cells
        while low < high:
            middle = (low + high) // 2
            value = parent.value(middle)
            if value < bound or (inclusive and value == bound):
                low = middle + 1
            else:
                high = middle
        return low

    first = 0 if condition.low is None else count_below(condition.low, inclusive=False)
    last = cells if condition.high is None else count_below(condition.high, inclusive=True)
    return first, last


def _check_acyclic(parameters: Sequence[Parameter], places: dict[str, int]) -> None:
    for i, parameter in enumerate(parameters):
        chain = [parameter.name]
        condition = parameter.condition
        while condition is not None:
            if condition.parameter == chain[0]:
                cycle = " -> ".join([*chain, chain[0]])
                raise StudyError(f"parameters[{i}].when.parameter", f"expected no cycle of conditions, found {cycle}")
            if condition.parameter in chain:
                break  # a cycle further up, reported at its own member
            chain.append(condition.parameter)
            condition = parameters[places[condition.parameter]].condition


def _first_repeated(values: Sequence[T]) -> T | None:
    return next((v for i, v in enumerate(values) if v in values[:i]), None)


def _show(number: float) -> str:
    return f"{number:.12g}"
