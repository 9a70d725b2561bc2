"""pydantic's findings in our own words: where (full path), what was expected, what stands there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hpo_operator.api.errors import SpecError
from hpo_operator.api.words import clip, did_you_mean, listing, number, show

M = TypeVar("M", bound=BaseModel)

_TYPES: Mapping[str, str] = {
    "int_type": "a whole number", "float_type": "a number", "string_type": "text", "string_unicode": "text in Unicode",
    "bool_type": "true or false", "list_type": "a list", "dict_type": "an object", "model_type": "an object",
    "model_attributes_type": "an object",
    "finite_number": "a finite number",
}  # fmt: skip

_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
    "too_short": ("at least", "min_length"),
    "too_long": ("at most", "max_length"),
    "string_too_short": ("at least", "min_length"),
    "string_too_long": ("at most", "max_length"),
}

PATTERNS: Mapping[str, str] = {
    r"^[A-Za-z_][A-Za-z0-9_]*$": "letters, digits and _, beginning with no digit",
    r"^[A-Za-z_:][A-Za-z0-9_:]*$": "letters, digits, _ and :, beginning with no digit",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "lower-case letters, digits and inner dashes",
    r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$": "a relative path of letters, digits, '.', '_' and '-'",
}
"""What each regular expression of the schema means; people do not read those."""


def parse_model(model: type[M], value: Any, path: str, errors: list[SpecError]) -> M | None:
    """``value`` as a ``model``; or None, and what is wrong with it appended to ``errors``, paths beginning with ``path``."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors.extend(_sentence(model, details, path) for details in error.errors(include_url=False))
        return None


def _sentence(model: type[BaseModel], details: ErrorDetails, root: str) -> SpecError:
    """pydantic's error in our words: where, what was expected, what stands there."""
    path = root + "".join(f"[{part}]" if isinstance(part, int) else f".{clip(part)}" for part in details["loc"])
    return SpecError(path.removesuffix(".[key]"), _message(model, details))


def _message(model: type[BaseModel], details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    kind, value = details["type"], details["input"]
    if kind == "missing":
        return "required, but missing"
    if kind == "extra_forbidden":
        return _unknown_field(model, details["loc"])
    if kind == "sentence":
        return details["msg"]
    if kind == "literal_error":
        return _not_among(context["expected"], value)
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        unit = " character" if kind.startswith("string") else " item" if kind.startswith("too") else ""
        found = str(len(value)) if unit else show(value)
        plural = "s" if unit and context[key] != 1 else ""
        return f"expected {word} {number(context[key])}{unit}{plural}, found {found}"
    if kind == "string_pattern_mismatch":
        return f"expected {PATTERNS.get(context['pattern'], context['pattern'])}, found {show(value)}"
    expected = _TYPES.get(kind, details["msg"])
    return f"expected {expected}, found {show(value)}{_writing_hint(kind, value)}"


def _writing_hint(kind: str, value: Any) -> str:
    """YAML reads yes, 1 and "1" differently from what their writer sees."""
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return "; put it in quotes"
    if kind in ("int_type", "float_type") and isinstance(value, str) and _is_number(value):
        return "; write it as a number, without quotes"
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return "; write it without a decimal point"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _not_among(expected: str, value: Any) -> str:
    """``expected`` is pydantic's list of a literal's values: 'A', 'B' or 'C'."""
    names = [name.strip("'") for name in expected.replace(" or ", ", ").split(", ")]
    hint = did_you_mean(value, names) if isinstance(value, str) else None
    wanted = f"one of {listing(names)}" if len(names) > 1 else names[0]
    return f"expected {wanted}, found {show(value)}" + (f"; did you mean {hint}?" if hint else "")


def _unknown_field(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    known = list(_fields_at(model, location[:-1]))
    close = did_you_mean(str(location[-1]), known)
    hint = f"; did you mean {close}?" if close else f"; expected one of {listing(known)}" if len(known) <= 12 else ""
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
