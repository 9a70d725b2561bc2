"""What a user got wrong, as the commands say it."""

from __future__ import annotations

from pathlib import Path


class Mistake(Exception):  # noqa: N818 - it is the user's, not the program's
    """The message is for the user: what was wrong, where, what to do."""


class OutOfReachError(Mistake):
    """Where it is cannot be reached now; it may be, later."""


def write_file(path: Path, data: bytes) -> None:
    """With the folders on its way. Raises Mistake where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror}") from None
