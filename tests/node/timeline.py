"""What took how long, and what was found: told while it happens, kept for the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Timeline:
    """``stages``: name and seconds. ``checks``: what was looked at, what was found, whether it is as it should be."""

    stages: list[tuple[str, float]] = field(default_factory=list)
    checks: list[tuple[str, str, bool]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        print(f"{name} ...", flush=True)
        yield
        self.stages.append((name, time.monotonic() - began))
        print(f"{name}: {self.stages[-1][1]:.1f} s", flush=True)

    def check(self, what: str, found: str, good: bool) -> None:
        self.checks.append((what, found, good))
        print(f"  {'ok ' if good else 'NOT'} {what}: {found}", flush=True)

    @property
    def good(self) -> bool:
        return all(good for _, _, good in self.checks)
