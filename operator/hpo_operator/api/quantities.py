"""Kubernetes quantities: an amount of CPU, memory or devices.

A quantity is one field of two JSON types. pydantic would report such a union once per branch, so it is judged by one
function, and a mistake is one sentence.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from hpo_operator.api.words import show

_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$"
_MOST_DIGITS = 64


def _quantity(value: Any) -> int | str:
    """Raises PydanticCustomError for what is no amount."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    if isinstance(value, str) and len(value) <= _MOST_DIGITS and re.fullmatch(_PATTERN.strip("^$"), value):
        return value
    hint = "; put it in quotes" if isinstance(value, float) else ""
    sentence = f"expected an amount such as 2, 500m or 16Gi, found {show(value)}{hint}"
    raise PydanticCustomError("quantity", "{sentence}", {"sentence": sentence})


def _pod_quantity(value: Any) -> int | float | str:
    """A Pod takes a fraction as well."""
    return value if isinstance(value, float) and value >= 0 else _quantity(value)


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
