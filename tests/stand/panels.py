"""The chart's dashboards and alerts as questions to a Prometheus server, and pictures of what it answers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stand.prometheus import PrometheusServer

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "helm/hpo-operator/files/alerts.yaml"
BOARDS = ROOT / "helm/dashboards.yaml"


@dataclass(frozen=True)
class Question:
    """``where``: dashboard and panel, or alert. ``text``: PromQL without variables."""

    where: str
    text: str
    legend: str = ""


def of_boards(variables: Mapping[str, str]) -> list[Question]:
    """Every query of every panel, with Grafana's variables filled in."""
    return [
        Question(f"{board['name']}: {panel['title']}", filled(query["expr"], variables), query["legend"])
        for board in yaml.safe_load(BOARDS.read_text())
        for row in board["rows"]
        for panel in row["panels"]
        for query in panel["queries"]
    ]


def of_alerts() -> list[Question]:
    """Every series that an alert reads: the alert itself is silent when all is well."""
    return [
        Question(f"alert: {rule['alert']}", selector)
        for group in yaml.safe_load(ALERTS.read_text())["groups"]
        for rule in group["rules"]
        for selector in sorted(set(re.findall(r"hpo_\w+", rule["expr"])))
    ]


def filled(text: str, variables: Mapping[str, str]) -> str:
    for name, value in variables.items():
        text = text.replace(f"${name}", value)
    return text


def numbers(series: list[dict[str, Any]]) -> int:
    """How many of these have a finite value at some time."""
    return sum(any(math.isfinite(float(value)) for _, value in each["values"]) for each in series)


def draw(name: str, server: PrometheusServer, variables: Mapping[str, str], start: float, end: float, to: Path) -> None:
    """A dashboard's panels over time, as Grafana would lay them out; single numbers as they are at the end."""
    from matplotlib.figure import Figure

    board = next(board for board in yaml.safe_load(BOARDS.read_text()) if board["name"] == name)
    panels = [panel for row in board["rows"] for panel in row["panels"] if panel.get("kind") != "stat"]
    figure = Figure(figsize=(15, 3 * math.ceil(len(panels) / 3)), layout="constrained")
    figure.suptitle(board["title"])
    for axes, panel in zip(figure.subplots(math.ceil(len(panels) / 3), 3, squeeze=False).flat, panels, strict=False):
        axes.set_title(panel["title"], fontsize=10)
        for query in panel["queries"]:
            for each in server.over_time(filled(query["expr"], variables), start, end):
                label = re.sub(r"\{\{(\w+)\}\}", lambda found, m=each["metric"]: m.get(found[1], ""), query["legend"])
                times, values = zip(*((at - start, float(value)) for at, value in each["values"]), strict=True)
                axes.plot(times, values, label=label)
        axes.set_xlabel("seconds", fontsize=8)
        axes.tick_params(labelsize=8)
        if 1 < len(axes.lines) <= 8:
            axes.legend(fontsize=7)
    for axes in figure.axes:
        axes.set_visible(bool(axes.get_title()))
    figure.savefig(to, dpi=90)
