"""Only what JSON can say may enter: YAML knows dates, sets, numbers as keys and anchors that contain themselves.

Checked first and without recursion, so that everything behind it may walk an object as deep as it goes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hpo_operator.api.errors import InvalidObject, SpecError
from hpo_operator.api.words import clip, show

MAX_DEPTH = 100
MAX_VALUES = 100_000
"""Above what etcd stores of one object (1.5 MB), below what a machine notices."""


def require_plain(raw: object) -> None:
    """Raises InvalidObject if ``raw`` is no JSON object, or an unreasonable one."""
    if not isinstance(raw, Mapping):
        raise InvalidObject(
            [SpecError("(file)", f"expected an object with apiVersion, kind, metadata, spec, found {show(raw)}")]
        )
    errors = sorted(set(_errors(raw)))
    if errors:
        raise InvalidObject(errors)


def _errors(raw: Mapping[Any, Any]) -> Iterator[SpecError]:
    pending: list[tuple[str, Any, int]] = [("", raw, 0)]
    seen = 0
    while pending:
        path, value, depth = pending.pop()
        seen += 1
        if seen > MAX_VALUES:
            yield SpecError("(file)", f"expected at most {MAX_VALUES} values")
            return
        if depth > MAX_DEPTH:
            yield SpecError(path.split(".")[0].split("[")[0], f"expected at most {MAX_DEPTH} levels of nesting")
            return
        if isinstance(value, Mapping):
            for key, item in value.items():
                if isinstance(key, str):
                    pending.append((f"{path}.{clip(key)}" if path else clip(key), item, depth + 1))
                else:
                    yield SpecError(path or "(file)", f"expected text as a key, found {show(key)}; put it in quotes")
        elif isinstance(value, list):
            pending.extend((f"{path}[{i}]", item, depth + 1) for i, item in enumerate(value))
        elif isinstance(value, float) and not math.isfinite(value):
            yield SpecError(path, f"expected a finite number, found {show(value)}")
        elif not isinstance(value, (str, int, float, bool, type(None))):
            yield SpecError(
                path,
                f"expected what JSON can say, found the {type(value).__name__} {clip(str(value))}; put it in quotes",
            )
