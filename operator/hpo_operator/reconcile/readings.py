"""Objects that were read before are not read again: of thousands of trials few change from one decision to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hpo_engine.memory import Memory
from hpo_operator.reconcile.snapshot import Raw

T = TypeVar("T")


def read_each(
    memory: Memory | None, name: str, version: object, raws: Sequence[Raw], read: Callable[[Raw], T]
) -> list[T]:
    """``read(raw)`` of each. What the memory holds under ``name`` of the very same object is not read again.

    ``version``: what ``read`` depends on beside the object; with another one everything is read anew.
    """
    last: Any = memory.last(name) if memory is not None else None
    before = last[1] if last is not None and last[0] == version else {}
    known: dict[int, tuple[Raw, T]] = {}
    for raw in raws:
        kept = before.get(id(raw))  # it holds the object, so that no other one can have its id
        known[id(raw)] = (raw, kept[1] if kept is not None else read(raw))
    if memory is not None:
        memory.keep(name, (version, known))
    return [value for _, value in known.values()]
