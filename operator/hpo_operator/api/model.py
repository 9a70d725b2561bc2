"""The base of every API object: strict, frozen, camelCase outside, with the CEL rules beside the fields they judge.

A rule is written twice, next to itself: once in CEL, for the API server, and once in Python, for servers that know
no CEL and for ``hpo validate``. The tests run both on the same corpus and demand the same verdicts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Rule:
    """``cel`` must hold for ``self``; ``holds`` is its twin in Python. ``field`` is where the error is shown, relative to
    self; where that depends on what is wrong, it is a function of self.

    ``cel`` is None where the structural schema says it already (list types). ``found`` tells what stands there
    instead, for the Python message (CEL messages are static, so that every server that knows CEL accepts them).
    """

    cel: str | None
    message: str
    holds: Callable[[Any], bool]
    field: str | Callable[[Any], str] = ""
    found: Callable[[Any], object] | None = None

    def path(self, model: Any, root: str) -> str:
        """Full path of the error in ``model``, which sits at ``root``."""
        field = self.field if isinstance(self.field, str) else self.field(model)
        return f"{root}.{field}" if field else root

    def sentence(self, model: Any) -> str:
        return self.message if self.found is None else f"{self.message}, found {self.found(model)}"


_NOT_KEPT: set[str] = set()


class ApiModel(BaseModel):
    """Strict (no "3" for 3), closed (no unknown fields) and immutable."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, allow_inf_nan=False
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler.resolve_ref_schema(handler(core_schema))
        if cls.rules:
            said = [{"rule": rule.cel, "message": rule.message} for rule in cls.rules if rule.cel is not None]
            if said:
                schema["x-kubernetes-validations"] = said
        return schema

    def model_post_init(self, context: Any, /) -> None:
        """Nobody asks which fields were given; a set of them in each object was half of the memory of a trial."""
        object.__setattr__(self, "__pydantic_fields_set__", _NOT_KEPT)

    def dump(self) -> dict[str, Any]:
        """The object as the API server stores it: camelCase, without absent fields and without empty texts.

        An absent text reads back as an empty one, and servers exist whose validation takes "" for null.
        """
        stored: dict[str, Any] = _without_empty_texts(self.model_dump(by_alias=True, exclude_none=True, mode="json"))
        return stored


def _without_empty_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty_texts(inner) for key, inner in value.items() if inner != ""}
    if isinstance(value, list):
        return [_without_empty_texts(inner) for inner in value]
    return value
