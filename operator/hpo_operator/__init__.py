"""The package's own offer to Python programs: ``from hpo_operator import Study, tune``.

Nothing is imported before it is asked for: the operator's process imports this module, too, and would pay for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo_operator.mistakes import Mistake
    from hpo_operator.sdk.study import Best, Study, StudyFailed
    from hpo_operator.sdk.tune import tune

__all__ = ["Best", "Mistake", "Study", "StudyFailed", "tune"]

_MODULES = {
    "Best": "sdk.study",
    "Mistake": "mistakes",
    "Study": "sdk.study",
    "StudyFailed": "sdk.study",
    "tune": "sdk.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
