"""pydantic's findings in our own words: where (full path), what was expected, what stands there."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hpo_operator.api.errors import SpecError

M = TypeVar("M", bound=BaseModel)


def parse_model(model: type[M], value: Any, path: str, errors: list[SpecError]) -> M | None:
    """``value`` as a ``model``; or None, and what is wrong with it appended to ``errors``, paths beginning with ``path``."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors.extend(_sentence(model, details, path) for details in error.errors(include_url=False))
        return None


def _sentence(model: type[BaseModel], details: ErrorDetails, root: str) -> SpecError:
    """pydantic's error in our words: where, what was expected, what stands there."""
    path = root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in details["loc"])
    path = path.removesuffix(".[key]")
    context = details.get("ctx", {})
    found = show(details["input"])
    match details["type"]:
        case "missing":
            return SpecError(path, "required, but missing")
        case "extra_forbidden":
            return SpecError(path, _unknown_field(model, details["loc"]))
        case "literal_error":
            return SpecError(path, f"expected one of {context['expected'].replace(' or ', ', ')}, found {found}")
        case "string_pattern_mismatch":
            return SpecError(path, f"expected text matching {context['pattern']}, found {found}")
        case "too_short" | "too_long" as kind:
            bound = context["min_length"] if kind == "too_short" else context["max_length"]
            return SpecError(
                path,
                f"expected at {'least' if kind == 'too_short' else 'most'} {bound} items, found {context['actual_length']}",
            )
        case "string_too_short" | "string_too_long" as kind:
            bound = context["min_length"] if kind == "string_too_short" else context["max_length"]
            return SpecError(
                path,
                f"expected at {'least' if kind == 'string_too_short' else 'most'} {bound} characters, found {len(details['input'])}",
            )
        case "finite_number":
            return SpecError(path, f"expected a finite number, found {found}")
    words = {
        "greater_than_equal": ("at least", "ge"),
        "less_than_equal": ("at most", "le"),
        "greater_than": ("more than", "gt"),
    }
    if details["type"] in words:
        word, key = words[details["type"]]
        return SpecError(path, f"expected {word} {context[key]:g}, found {found}")
    types = {
        "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number", "string_type": "text",
        "bool_type": "true or false", "list_type": "a list", "dict_type": "an object", "model_type": "an object",
        "model_attributes_type": "an object",
    }  # fmt: skip
    return SpecError(path, f"expected {types.get(details['type'], details['msg'])}, found {found}")


def _unknown_field(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    known = list(_fields_at(model, location[:-1]))
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = (
        f"; did you mean {close[0]}?" if close else f"; expected one of {', '.join(known)}" if len(known) <= 12 else ""
    )
    return "unknown field" + hint


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> Iterator[str]:
    """External names of the fields of the model that sits at ``location`` below ``model``."""
    for part in location:
        if isinstance(part, int):
            continue
        field = next((f for n, f in model.model_fields.items() if (f.alias or n) == part), None)
        inner = _model_inside(field.annotation) if field else None
        if inner is None:
            return
        model = inner
    yield from (field.alias or name for name, field in model.model_fields.items())


def _model_inside(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in getattr(annotation, "__args__", ()) if (m := _model_inside(a)) is not None), None)


def show(value: Any) -> str:
    """What stands there, as YAML users know it, and never longer than a line."""
    if value is None:
        return "nothing"
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
