"""Where the figures of the tasks go: a page of Markdown, the raw numbers, and pictures."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from medical.data import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "medical"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """In Markdown; the first column on the left, the others on the right."""
    lines = [" | ".join(headings), " | ".join(["---", *["---:"] * (len(headings) - 1)])]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Mean and standard deviation over seeds: ``0.874 ± 0.006``."""
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


def write(name: str, title: str, parts: Sequence[str], raw: Any) -> None:
    """``name``.md with the command, the day and the machine that made it, and ``name``.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "-m", f"medical.{name}", *sys.argv[1:]])
    day = datetime.now(UTC).date().isoformat()
    made = f"`PYTHONPATH=operator:trainer-image:benchmarks {command}`, {day}, {_hardware()}"
    text = "\n\n".join([f"# {title}", made, *parts]) + "\n"
    (RESULTS / f"{name}.md").write_text(text)
    (RESULTS / f"{name}.json").write_text(json.dumps(raw, indent=1, default=float) + "\n")
    print(text)


def _hardware() -> str:
    """The processor's name, the cores this process may use, and the GPU if there is one."""
    import torch

    names = [line.split(":")[1].strip() for line in _processor() if line.startswith("model name")]
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores{gpu}"


def _processor() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
