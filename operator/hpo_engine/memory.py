"""What may be kept from one plan to the next to save time, and never changes what is planned.

Everything in a memory can be worked out again from the trials: a plan with an empty memory is the same, byte for byte.
So a process may keep one memory per study, forget it at any time, and must not share it between studies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Memory:
    """The latest result of each named computation, with the arguments it belongs to."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, object]] = {}

    def recall(self, name: str, arguments: object, compute: Callable[[], T]) -> T:
        """``compute()``, or what it gave last time if ``arguments`` (compared by ==) are the same."""
        kept = self._kept.get(name)
        if kept is not None and kept[0] == arguments:
            return kept[1]  # type: ignore[return-value]
        value = compute()
        self._kept[name] = (arguments, value)
        return value

    def keep(self, name: str, value: object) -> None:
        """Make ``value`` the latest result under ``name``, for computations that find out themselves what is shared."""
        self._kept[name] = (None, value)

    def forget(self, name: str) -> None:
        """Let go of the latest result under ``name``, so that it takes no space while the next one is made."""
        self._kept.pop(name, None)

    def last(self, name: str) -> object | None:
        """The latest result under ``name`` whatever its arguments, for computations that can go on from it."""
        kept = self._kept.get(name)
        return None if kept is None else kept[1]
