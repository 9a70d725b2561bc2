"""The engine's exceptions.

EngineError
└── StudyError   the study itself cannot be planned: wrong space, wrong fidelity, wrong settings
"""

from __future__ import annotations

from collections.abc import Iterable


class EngineError(Exception):
    """Root of everything that the engine raises on purpose."""


class StudyError(EngineError):
    """A study that no plan can be made for.

    ``field`` is the place inside the study, as a user would write it (``parameters[2].when``),
    relative to the study's ``spec``; the message says what was expected and what stands there.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


LISTED = 20


def listed(texts: Iterable[str]) -> str:
    """Texts of the user's for a sentence: what cannot be printed is escaped, and of many the first stand there."""
    shown = [text if text.isprintable() else repr(text) for text in texts]
    return ", ".join(shown[:LISTED]) + (", ..." if len(shown) > LISTED else "")
