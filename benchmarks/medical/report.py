"""Where the figures of the tasks go: a page of Markdown, the raw numbers, and pictures."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pages
from pages import table

from medical.data import ROOT

__all__ = ["RESULTS", "spread", "table", "write"]

RESULTS = ROOT / "benchmarks" / "results" / "medical"


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Mean and standard deviation over seeds: ``0.874 ± 0.006``."""
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


def write(name: str, title: str, parts: Sequence[str], raw: Any) -> None:
    """``name``.md with the command, the day and the machine that made it, and ``name``.json."""
    made = pages.command("operator:trainer-image:benchmarks", f"medical.{name}")
    day = datetime.now(UTC).date().isoformat()
    pages.write(RESULTS, name, title, f"`{made}`, {day}, {_hardware()}", parts, raw)


def _hardware() -> str:
    """The processor's name, the cores this process may use, and the GPU if there is one."""
    import torch

    names = [line.split(":")[1].strip() for line in _processor() if line.startswith("model name")]
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores{gpu}"


def _processor() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
