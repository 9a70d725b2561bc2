"""What can go wrong at the API server, in this project's words, because the client library can be replaced.

ClusterError
├── TemporaryError   no answer, 410 (a list took too long), 429, 5xx: try again later
├── RefusedError     403, 422 and the like: this object will not be accepted as it is; ``message`` is the server's own
├── NotFoundError    404
└── ConflictError    409: it exists already, or changed meanwhile
"""

from __future__ import annotations


class ClusterError(Exception):
    """Root of what ``kube`` raises. ``retry_after``: seconds that the server asks to be left alone."""

    def __init__(self, message: str, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.retry_after = retry_after


class TemporaryError(ClusterError):
    """The same request may succeed later."""


class RefusedError(ClusterError):
    """The server understood and will not do it."""


class NotFoundError(ClusterError):
    """There is no such object."""


class ConflictError(ClusterError):
    """It exists already, or was changed meanwhile."""


def from_status(status: int, message: str, retry_after: float = 0.0) -> ClusterError:
    """The exception of an HTTP status of 400 and above."""
    if status == 404:
        return NotFoundError(message, status)
    if status == 409:
        return ConflictError(message, status)
    if status in (410, 429) or status >= 500:
        return TemporaryError(message, status, retry_after)
    return RefusedError(message, status)
