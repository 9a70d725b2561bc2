"""Times as Kubernetes writes them. ``now`` is always an argument; nothing here reads a clock."""

from __future__ import annotations

from datetime import UTC, datetime


def to_text(time: datetime) -> str:
    """``2026-11-21T09:30:00Z``"""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_text(text: str) -> datetime:
    return datetime.fromisoformat(text)


def seconds_between(start: str | None, end: str | None) -> float:
    """Never negative; 0 when either is unknown."""
    if start is None or end is None:
        return 0.0
    return max(0.0, (from_text(end) - from_text(start)).total_seconds())
