"""What docs/how-to/monitoring.md says of the chart's dashboards, alerts and labels is what the chart has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from stand.prometheus import chart_relabelings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/how-to/monitoring.md").read_text(encoding="utf-8")
FILES = ROOT / "helm/hpo-operator/files"


def test_prometheus_alone_gives_the_labels_that_the_chart_gives() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    operator, trials = yaml.safe_load(block)["scrape_configs"]
    assert (operator["job_name"], operator["honor_labels"]) == ("hpo-operator", True)
    given = {one["target_label"]: one["source_labels"] for one in trials["relabel_configs"] if "target_label" in one}
    chart = {one["target_label"]: one["source_labels"] for one in chart_relabelings() if "target_label" in one}
    assert chart.items() <= given.items()


def test_alerts_and_panels_that_it_names_exist() -> None:
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    assert set(re.findall(r"`(HPO[A-Za-z]+)`", PAGE)) <= alerts
    assert "seven alerts" in PAGE
    assert len(alerts) == 7
    boards = [json.loads(path.read_text()) for path in (FILES / "dashboards").glob("*.json")]
    panels = {board["title"]: {panel["title"] for panel in board["panels"]} for board in boards}
    named = re.findall(r"\*(HPO \w+)\*: ([\w ,]+)", PAGE)
    assert {title for title, _ in named} == set(panels)
    for title, listed in named:
        assert set(listed.strip().split(", ")) <= panels[title]
