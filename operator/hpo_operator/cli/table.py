"""A study in flight on the terminal: its budget, its best so far and its trials, as kubectl's objects tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpo_operator.cli.progress import Progress, Share, progress
from hpo_operator.reconcile.clock import seconds_between, to_text
from hpo_operator.report.words import duration
from hpo_operator.studies.objects import StudyObjects

Raw = Mapping[str, Any]
COLOURS = {
    "Succeeded": "green",
    "Running": "cyan",
    "Failed": "red",
    "Waiting": "yellow",
    "Suspended": "yellow",
    "Pending": "dim",
    "Stopped": "dim",
    "Invalid": "red",
}
BARS = "▁▂▃▄▅▆▇█"
BAR, TRIAL_BAR = 32, 12
UNDER_WAY = ("Running", "Pending")
FEWEST_ROWS = 3
HEADINGS = 2
"""Lines of the table of trials that are no trials: its headings, and how many more there are."""


def study_view(found: StudyObjects, now: datetime, height: int | None = None) -> Group:
    """On at most ``height`` lines if the terminal has a few; None: all trials, in the order of their numbers."""
    above: list[Text | Table] = [*_headline(found), _figures(found, progress(found, now))]
    above += [Text(note, style="yellow", no_wrap=True, overflow="ellipsis") for note in found.notes]
    lines = sum(part.row_count if isinstance(part, Table) else 1 for part in above)
    rows = len(found.trials) if height is None else max(FEWEST_ROWS, height - lines - HEADINGS)
    return Group(*above, *_trials(found, now, rows))


def _headline(found: StudyObjects) -> Iterator[Text]:
    status = found.study.get("status") or {}
    counts, best = status.get("trials") or {}, status.get("best")
    phase = status.get("phase", "Pending")
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(found.name, style="bold")
    text.append(f"  {status.get('algorithm', '')}  ")
    text.append(phase, style=COLOURS.get(phase, ""))
    text.append("".join(f"  {counts[key]} {key}" for key in ("running", "pending", "waiting") if counts.get(key)))
    if best:
        text.append(f"  best {best['value']:.5g} ({best['trial']})", style="bold")
    yield text
    if status.get("message"):
        yield Text(f"{status['reason']}: {status['message']}", style="dim", no_wrap=True, overflow="ellipsis")


def _figures(found: StudyObjects, reached: Progress) -> Table:
    """A line for each part of the budget, for the best so far, and for what failed."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(width=BAR, no_wrap=True)
    rows.add_column()
    trials, hours, clock, left = reached.trials, reached.gpu_hours, reached.wall_clock, reached.seconds_left
    pace = f"   about {duration(left)} left at this pace" if left is not None and trials.seconds is not None else ""
    rows.add_row("trials", _bar(trials), _line(f"{trials.spent:g}/{trials.budget or 0:g}{pace}"))
    if hours.budget is not None or hours.spent:
        of = f"/{hours.budget:g}" if hours.budget is not None else ""
        rows.add_row("GPU-hours", _bar(hours), _line(f"{hours.spent:.3g}{of}"))
    if clock.budget is not None or clock.spent:
        of = f" of {duration(clock.budget)}" if clock.budget is not None else ""
        rows.add_row("time", _bar(clock), _line(f"{duration(clock.spent)}{of}"))
    for line in _history(found, reached):
        rows.add_row("best so far", *line)
    if reached.failures:
        causes = ", ".join(f"{number} {reason}" for reason, number in reached.failures.items())
        rows.add_row("failed", "", _line(causes, "red"))
    return rows


def _line(text: str, style: str = "") -> Text:
    """Of a column that gives way where the terminal is narrow: cut, not wrapped."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _bar(share: Share) -> RenderableType:
    """Nothing where there is no budget."""
    if share.budget is None:
        return ""
    return ProgressBar(share.budget, share.spent, BAR, style="grey50", complete_style="cyan", finished_style="green")


def _history(found: StudyObjects, reached: Progress) -> Iterator[tuple[Text, Text]]:
    """Not with several goals, of which the objective alone tells too little."""
    spec, best = found.study["spec"], reached.best
    if len(best) > 1 and not spec.get("constraints") and not spec.get("secondObjective"):
        far = f" at {reached.resource} {found.unit}" if reached.resource else ""
        moved = f"{best[0]:.5g} -> {best[-1]:.5g}   {len(best)} trials{far}"
        yield Text(sparkline(best, BAR), style="cyan"), _line(moved)


def sparkline(values: Sequence[float], width: int) -> str:
    """The lowest value is the lowest bar; of more than ``width`` values every so many-th, the last among them."""
    step = -(-len(values) // width)
    shown = values[(len(values) - 1) % step :: step]
    low, high = min(shown), max(shown)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in shown)


def _trials(found: StudyObjects, now: datetime, rows: int) -> Iterator[RenderableType]:
    """At most ``rows``: what is under way, then the latest."""
    shown = sorted(sorted(found.trials, key=_activity)[:rows], key=lambda trial: int(trial["spec"]["index"]))
    best = ((found.study.get("status") or {}).get("best") or {}).get("trial")
    most = (found.study["spec"].get("fidelity") or {}).get("max")
    headings = ["trial", "phase", str(found.objective.get("metric", "")), found.unit]
    cells = [_row(trial, trial["metadata"]["name"] == best, now) for trial in shown]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, heading in enumerate(headings):
        width = max([len(heading), *(len(row[column]) for row in cells)])
        table.add_column(heading, min_width=width, no_wrap=True, justify="left" if heading == "phase" else "right")
    table.add_column("", width=TRIAL_BAR if most else 0, no_wrap=True)
    table.add_column("parameters")
    for trial, row in zip(shown, cells, strict=True):
        bar = _trial_bar(trial.get("status") or {}, most) if most else ""
        table.add_row(*row, bar, _parameters(trial), style="bold" if trial["metadata"]["name"] == best else "")
    yield table
    hidden = len(found.trials) - len(shown)
    if hidden > 0:
        yield Text(f"... and {hidden} more", style="dim")


def _trial_bar(status: Raw, most: int) -> ProgressBar:
    colour = COLOURS.get(status.get("phase", "Pending"), "")
    return ProgressBar(
        most, status.get("resource", 0), TRIAL_BAR, style="grey50", complete_style=colour, finished_style=colour
    )


def _row(trial: Raw, is_best: bool, now: datetime) -> list[Text | str]:
    status = trial.get("status") or {}
    phase = status.get("phase", "Pending")
    value = status.get("objective")
    target = trial["spec"].get("resource", 0)
    return [
        f"{trial['spec']['index']}{'*' if is_best else ' '}",
        Text(_phase(status, phase, now), style=COLOURS.get(phase, "")),
        "" if value is None else f"{value:.5g}",
        f"{status.get('resource', 0)}/{target}" if target else "",
    ]


def _parameters(trial: Raw) -> Text:
    given = trial["spec"].get("parameters") or {}
    return _line("  ".join(f"{name}={_short(text)}" for name, text in given.items()))


def _phase(status: Raw, phase: str, now: datetime) -> str:
    """With what an observer wants to know of it: why it failed, since when it has run."""
    if phase == "Failed":
        return f"Failed: {status.get('reason', '')}"
    if phase == "Running" and status.get("podStartTime"):
        return f"Running {duration(seconds_between(status['podStartTime'], to_text(now)))}"
    return phase


def _short(text: str) -> str:
    """A number in four digits; anything else as it is."""
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


def _activity(trial: Raw) -> tuple[int, int]:
    phase = (trial.get("status") or {}).get("phase", "Pending")
    return (0 if phase in UNDER_WAY else 1, -trial["spec"]["index"])
