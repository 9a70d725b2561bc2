"""What a study cost, and what resuming checkpoints saved."""

from __future__ import annotations

from dataclasses import dataclass

from hpo_operator.reconcile.clock import seconds_between
from hpo_operator.report.evidence import Evidence
from hpo_operator.report.html import Section, paragraphs, section, table
from hpo_operator.report.words import duration, number, percent


@dataclass(frozen=True)
class Cost:
    """``trained``: units of the fidelity; ``anew``: what they would have been had each rung begun from nothing."""

    gpu_hours: float
    seconds: float
    trained: int
    anew: int
    interruptions: int


def cost(evidence: Evidence) -> Cost:
    statuses = [found.status for found in evidence.stored.objects]
    measurements = [m for status in statuses for m in status.measurements]
    return Cost(
        evidence.stored.object.status.gpu_hours,
        sum(m.seconds or 0.0 for m in measurements),
        sum(max((m.resource for m in status.measurements), default=0) for status in statuses),
        sum(m.resource for m in measurements),
        sum(status.interruptions for status in statuses),
    )


def cost_section(evidence: Evidence) -> Section:
    spent, status, unit = cost(evidence), evidence.stored.object.status, evidence.unit
    rows = [("GPU-hours", number(spent.gpu_hours, 4)), ("training time of all measured rungs", duration(spent.seconds))]
    if status.start_time and status.completion_time:
        rows.append(("from start to end", duration(seconds_between(status.start_time, status.completion_time))))
    if status.suspended_seconds:
        rows.append(("of that suspended", duration(status.suspended_seconds)))
    if unit:
        rows += [(f"{unit} trained", str(spent.trained)), (f"{unit} if each rung began anew", str(spent.anew))]
    rows.append(("interrupted attempts", str(spent.interruptions)))
    saved = spent.anew - spent.trained
    words = ""
    if unit and saved > 0:
        words = (
            f"Promoted trials went on from their checkpoints: {saved} {unit} were not trained again, "
            f"{percent(saved / spent.anew)} of what it would have been."
        )
    return section("cost", "Cost", paragraphs(words), table(("", "amount"), rows, "What the study used"))
