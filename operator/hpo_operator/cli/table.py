"""A study as a table for the terminal, made from the same objects that kubectl shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

Raw = Mapping[str, Any]
COLOURS = {
    "Succeeded": "green",
    "Running": "cyan",
    "Failed": "red",
    "Waiting": "yellow",
    "Pending": "dim",
    "Stopped": "dim",
    "Invalid": "red",
}


def study_view(study: Raw, trials: Sequence[Raw], rows: int) -> Group:
    """Headline and at most ``rows`` trials: what is under way, then the latest."""
    status = study.get("status") or {}
    shown = sorted(trials, key=_activity)[:rows]
    shown = sorted(shown, key=lambda trial: trial["spec"]["index"])
    fidelity = (study["spec"].get("fidelity") or {}).get("resource", "")
    headings = ["trial", "phase", study["spec"]["objective"]["metric"], fidelity]
    best = (status.get("best") or {}).get("trial")
    cells = [_row(trial, trial["metadata"]["name"] == best) for trial in shown]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, heading in enumerate(headings):
        width = max([len(heading), *(len(row[column]) for row in cells)])
        table.add_column(heading, min_width=width, no_wrap=True, justify="left" if heading == "phase" else "right")
    table.add_column("parameters", no_wrap=True, overflow="ellipsis")
    for trial, row in zip(shown, cells, strict=True):
        table.add_row(*row, style="bold" if trial["metadata"]["name"] == best else "")
    hidden = len(trials) - len(shown)
    return Group(
        _headline(study, status), table, *([Text(f"... and {hidden} more", style="dim")] if hidden > 0 else [])
    )


def _headline(study: Raw, status: Raw) -> Text:
    counts = status.get("trials") or {}
    best = status.get("best")
    phase = status.get("phase", "Pending")
    text = Text()
    text.append(study["metadata"]["name"], style="bold")
    text.append(f"  {status.get('algorithm', '')}  ")
    text.append(phase, style=COLOURS.get(phase, ""))
    text.append(
        f"  {status.get('progress', '')} trials, {counts.get('running', 0)} running, {counts.get('failed', 0)} failed"
    )
    if best:
        text.append(f"  best {best['value']:.5g} ({best['trial']})", style="bold")
    if status.get("message"):
        text.append(f"\n{status['reason']}: {status['message']}", style="dim")
    return text


def _row(trial: Raw, is_best: bool) -> list[Text | str]:
    status = trial.get("status") or {}
    phase = status.get("phase", "Pending")
    shown = phase if phase != "Failed" else f"Failed: {status.get('reason', '')}"
    value = status.get("objective")
    target = trial["spec"].get("resource", 0)
    return [
        f"{trial['spec']['index']}{'*' if is_best else ' '}",
        Text(shown, style=COLOURS.get(phase, "")),
        "" if value is None else f"{value:.5g}",
        f"{status.get('resource', 0)}/{target}" if target else "",
        "  ".join(f"{name}={_short(text)}" for name, text in (trial["spec"].get("parameters") or {}).items()),
    ]


def _short(text: str) -> str:
    """A number in four digits; anything else as it is."""
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


def _activity(trial: Raw) -> tuple[int, int]:
    phase = (trial.get("status") or {}).get("phase", "Pending")
    return (0 if phase in ("Running", "Pending") else 1, -trial["spec"]["index"])
