"""Parameters of a built-in task tune fields of its configuration: same names, and never outside what a field may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_origin

from pydantic.fields import FieldInfo

from hpo_operator.api.errors import SpecError
from hpo_operator.api.parameters import Parameter
from hpo_operator.api.study import StudySpec
from hpo_operator.api.tasks import ODD, bounds_of, choices_of
from hpo_operator.api.words import did_you_mean, number, show


def parameter_errors(spec: StudySpec) -> Iterator[SpecError]:
    """Parameters that the built-in task does not have, or that leave a field's bounds."""
    if spec.trainer.task is None:
        return
    task, config = spec.trainer.task
    fields = {field.alias or name: field for name, field in type(config).model_fields.items()}
    for i, parameter in enumerate(spec.parameters):
        path = f"spec.parameters[{i}]"
        if parameter.name not in fields:
            close = did_you_mean(parameter.name, fields)
            hint = f"did you mean {close}?" if close else f"expected one of {', '.join(fields)}"
            yield SpecError(f"{path}.name", f"{task} has no field {show(parameter.name)}; {hint}")
        elif spec.fidelity is not None and parameter.name == spec.fidelity.resource:
            yield SpecError(
                f"{path}.name", f"expected {show(parameter.name)} either as a parameter or as the fidelity, found both"
            )
        else:
            yield from _kind_errors(parameter, fields[parameter.name], f"{task}.{parameter.name}", path)


def _kind_errors(parameter: Parameter, field: FieldInfo, where: str, path: str) -> Iterator[SpecError]:
    choices = choices_of(field)
    if get_origin(field.annotation) is list:
        yield SpecError(f"{path}.name", f"{where} is a list and cannot be tuned")
    elif choices or field.annotation is str:
        if parameter.categorical is None:
            yield SpecError(path, f"expected categorical for {where}, found {parameter.kind}")
        elif choices:
            for j, choice in enumerate(parameter.categorical.choices):
                if choice not in choices:
                    yield SpecError(
                        f"{path}.categorical.choices[{j}]",
                        f"expected one of {', '.join(choices)}, found {show(choice)}",
                    )
    elif parameter.categorical is not None:
        yield SpecError(
            f"{path}.categorical", f"expected float, int or ordinal, since {where} is a number, found categorical"
        )
    elif field.annotation is int and (parameter.float_ is not None or _fractional(parameter)):
        found = "float" if parameter.float_ is not None else "fractions"
        yield SpecError(path, f"expected int or whole ordinal values, since {where} is a whole number, found {found}")
    else:
        yield from _bound_errors(parameter, field, where, path)


def _fractional(parameter: Parameter) -> bool:
    return parameter.ordinal is not None and any(not float(v).is_integer() for v in parameter.ordinal.values)


def _bound_errors(parameter: Parameter, field: FieldInfo, where: str, path: str) -> Iterator[SpecError]:
    low, high, at = _range(parameter)
    least, most = bounds_of(field)
    if least is not None and low < least:
        yield SpecError(
            f"{path}.{at[0]}", f"expected at least {number(least)}, the least {where} may be, found {number(low)}"
        )
    if most is not None and high > most:
        yield SpecError(
            f"{path}.{at[1]}", f"expected at most {number(most)}, the most {where} may be, found {number(high)}"
        )
    if parameter.name in ODD and not _only_odd(parameter):
        yield SpecError(
            path,
            f"expected odd values only, since {where} is odd, found even ones; use ordinal, or int with an even step",
        )


def _only_odd(parameter: Parameter) -> bool:
    if parameter.int_ is not None:
        return parameter.int_.min % 2 == 1 and parameter.int_.step % 2 == 0
    return parameter.ordinal is not None and all(value % 2 == 1 for value in parameter.ordinal.values)


def _range(parameter: Parameter) -> tuple[float, float, tuple[str, str]]:
    if parameter.float_ is not None:
        return parameter.float_.min, parameter.float_.max, ("float.min", "float.max")
    if parameter.int_ is not None:
        return parameter.int_.min, parameter.int_.max, ("int.min", "int.max")
    assert parameter.ordinal is not None  # not categorical, and one of the four: Parameter.rules
    values = parameter.ordinal.values
    return (
        min(values),
        max(values),
        (f"ordinal.values[{values.index(min(values))}]", f"ordinal.values[{values.index(max(values))}]"),
    )
