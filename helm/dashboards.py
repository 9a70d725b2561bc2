"""``python helm/dashboards.py [--check]``: make the chart's dashboards of dashboards.yaml, or say if they are old.

The layout is computed. The JSON is that of Grafana 9 and later
(https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

Raw = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
BOARDS = ROOT / "helm/dashboards.yaml"
FOLDER = ROOT / "helm/hpo-operator/files/dashboards"
WIDTH, HEIGHT = 24, 8
"""Of a row of Grafana's grid, and of a panel, in the grid's units. A single number needs half of the height."""
WIDTHS = {"stat": 4, "timeseries": 8}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def rendered(board: Raw) -> Raw:
    """Grafana's JSON."""
    panels: list[Raw] = []
    y = 0
    for row in board["rows"]:
        position = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": row["title"], "gridPos": position, "panels": []})
        y = _place(panels, row["panels"], y + 1)
    return {
        "uid": f"hpo-operator-{board['name']}",
        "title": board["title"],
        "description": board["says"],
        "tags": ["hpo-operator"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_datasource(), *(_variable(*each) for each in board["variables"].items())]},
        "links": [_to_the_others()],
        "panels": panels,
    }


def _place(panels: list[Raw], row: Sequence[Raw], y: int) -> int:
    """Append the panels from left to right, line by line; the first free y."""
    x = height = 0
    for panel in row:
        kind = panel.get("kind", "timeseries")
        width, tall = panel.get("width", WIDTHS[kind]), HEIGHT // 2 if kind == "stat" else HEIGHT
        if x + width > WIDTH:
            x, y, height = 0, y + height, 0
        panels.append(_panel(panel, kind, len(panels) + 1, {"x": x, "y": y, "w": width, "h": tall}))
        x, height = x + width, max(height, tall)
    return y + height


def _panel(panel: Raw, kind: str, number: int, position: Raw) -> Raw:
    custom: Raw = {"fillOpacity": 60, "stacking": {"mode": "normal"}} if panel.get("stacked") else {}
    targets = [
        {"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": query["expr"], "legendFormat": query["legend"]}
        for i, query in enumerate(panel["queries"])
    ]
    return {
        "id": number,
        "type": kind,
        "title": panel["title"],
        "description": panel["says"],
        "datasource": DATASOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": panel.get("unit", "short"), "custom": custom}, "overrides": []},
        "targets": targets,
    }


def _datasource() -> Raw:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _variable(name: str, query: str) -> Raw:
    """Its values are asked for whenever the time range changes: studies come and go."""
    asked = {"query": query, "refId": name}
    return {"name": name, "type": "query", "datasource": DATASOURCE, "query": asked, "refresh": 2, "sort": 1}


def _to_the_others() -> Raw:
    kept = {"keepTime": True, "includeVars": True}
    return {"type": "dashboards", "tags": ["hpo-operator"], "title": "HPO", "asDropdown": True} | kept


def main(arguments: list[str]) -> int:
    old = 0
    for board in yaml.safe_load(BOARDS.read_text()):
        path, text = FOLDER / f"{board['name']}.json", json.dumps(rendered(board), indent=1) + "\n"
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} differs from helm/dashboards.yaml; run `make manifests`", file=sys.stderr)
            old = 1
        else:
            FOLDER.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    return old


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
