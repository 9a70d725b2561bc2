"""Fields of a configuration: their bounds, their names as users write them, and how a value becomes one."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from hpo_trainer.failures import BadConfig

T = TypeVar("T")
FieldType = Literal["int", "float", "bool", "str", "list[int]"]
TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def option(default: T, minimum: float | None = None, maximum: float | None = None, choices: tuple[str, ...] = ()) -> T:
    """A dataclass field with its bounds (inclusive; of each item, for a list)."""
    return dataclasses.field(default=default, metadata={"bounds": (minimum, maximum), "choices": choices})


@dataclass(frozen=True)
class FieldSpec:
    """One field, by the name that users write. Bounds are inclusive and of each item, for a list."""

    name: str
    type: FieldType
    default: int | float | bool | str | tuple[int, ...]
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]

    def expected(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        noun = {
            "int": "an integer",
            "float": "a number",
            "bool": "true or false",
            "str": "a text",
            "list[int]": "a list of integers",
        }[self.type]
        return noun if self.minimum is None else f"{noun} from {self.minimum:g} to {self.maximum:g}"


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m[1].lower(), name)


def camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda m: m[1].upper(), name)


_TYPES: Mapping[type, FieldType] = {int: "int", float: "float", bool: "bool", str: "str", tuple: "list[int]"}


def field_spec(field: dataclasses.Field[Any]) -> FieldSpec:
    minimum, maximum = field.metadata["bounds"]
    default: Any = field.default
    choices = field.metadata["choices"]
    return FieldSpec(camel_case(field.name), _TYPES[type(default)], default, minimum, maximum, choices)


def convert(spec: FieldSpec, value: Any, path: str) -> Any:
    """``value`` as the field's type, within its bounds. Raises BadConfig."""
    if spec.type == "list[int]":
        if not isinstance(value, (list, tuple)):
            raise _unexpected(spec, value, path)
        item = dataclasses.replace(spec, type="int")
        return tuple(convert(item, v, f"{path}[{i}]") for i, v in enumerate(value))
    converted = _CONVERTERS[spec.type](value)
    if converted is None or (spec.choices and converted not in spec.choices):
        raise _unexpected(spec, value, path)
    if spec.minimum is not None and spec.maximum is not None and not spec.minimum <= converted <= spec.maximum:
        raise _unexpected(spec, value, path)
    return converted


def _integer(value: Any) -> int | None:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value != int(value)
    ):
        return None
    return int(value)


def _number(value: Any) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)


def _boolean(value: Any) -> bool | None:
    return TRUTH.get(value.lower()) if isinstance(value, str) else value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


_CONVERTERS: Mapping[str, Any] = {"int": _integer, "float": _number, "bool": _boolean, "str": _text}


def _unexpected(spec: FieldSpec, value: Any, path: str) -> BadConfig:
    hint = did_you_mean(value, spec.choices) if isinstance(value, str) else ""
    return BadConfig(path, f"expected {spec.expected()}, found {json.dumps(value)}{hint}")


def did_you_mean(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """The closest known name as the end of a sentence, or all of them when none is close."""
    lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    return f"; did you mean {lower[close[0]]}?" if close else ""


def at_most(name: str, items: tuple[int, ...], length: int, source: Mapping[str, str]) -> None:
    if len(items) > length:
        raise BadConfig(source[name], f"expected at most {length} numbers, found {len(items)}")
