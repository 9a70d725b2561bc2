"""The API's exceptions.

ApiError
└── InvalidObject   one or more SpecErrors: permanent, until the user changes the object
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class SpecError:
    """One thing wrong with an object: where (full path), and what was expected and found there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ApiError(Exception):
    """Root of what this package raises."""


class InvalidObject(ApiError):  # noqa: N818 - it says what the object is
    """The object cannot be used. Not worth retrying."""

    def __init__(self, errors: list[SpecError]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = errors
