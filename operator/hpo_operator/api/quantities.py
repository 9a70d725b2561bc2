"""Amounts with a unit: Kubernetes quantities, and durations.

A quantity is one field of two JSON types, and a number is often written where a duration is meant. pydantic would report
the union once per branch and the number as a type, so each is judged by one function, and a mistake is one sentence.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from hpo_operator.api.words import show

_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$"
_MOST_DIGITS = 64
_DURATION = r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"


def _quantity(value: Any) -> int | str:
    """Raises PydanticCustomError for what is no amount."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    if isinstance(value, str) and len(value) <= _MOST_DIGITS and re.fullmatch(_PATTERN.strip("^$"), value):
        return value
    hint = "; put it in quotes" if isinstance(value, float) else ""
    raise _unexpected("an amount such as 2, 500m or 16Gi", f"{show(value)}{hint}")


def _pod_quantity(value: Any) -> int | float | str:
    """A Pod takes a fraction as well."""
    return value if isinstance(value, float) and value >= 0 else _quantity(value)


def _duration(value: Any) -> str:
    if isinstance(value, str) and len(value) >= 2 and re.fullmatch(_DURATION.strip("^$"), value):
        return value
    raise _unexpected("a duration such as 8h, 90m or 1h30m", show(value))


def _unexpected(expected: str, found: str) -> PydanticCustomError:
    return PydanticCustomError("sentence", "{sentence}", {"sentence": f"expected {expected}, found {found}"})


Quantity = Annotated[
    int | str,
    PlainValidator(_quantity),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": _PATTERN,
            "maxLength": _MOST_DIGITS,
            "minimum": 0,
        }
    ),
]
"""2, "500m", "16Gi". The pattern binds text only, the minimum numbers only."""

PodQuantity = Annotated[int | float | str, PlainValidator(_pod_quantity)]
"""The same inside a Pod template."""

Duration = Annotated[
    str,
    PlainValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION, "minLength": 2, "maxLength": 21}),
]
"""Hours, minutes and seconds, in this order: 8h, 90m, 1h30m."""
