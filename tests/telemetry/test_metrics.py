"""The operator's metrics: documented, clean by Prometheus' own checker, and without the series of what is gone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from prometheus_client import Metric, generate_latest

from hpo_operator.kube.errors import ClusterError
from hpo_operator.telemetry.metrics import ERRORS, OperatorMetrics
from stand.prometheus import NoPrometheusError, ensure

PAGE = Path(__file__).resolve().parents[2] / "docs/metrics.md"


def filled() -> OperatorMetrics:
    """Each metric with at least one series."""
    metrics = OperatorMetrics()
    metrics.observe_study("lab", "demo", {"trials": {"running": 2}, "gpuHours": 0.5, "best": {"value": 0.9}})
    metrics.count_request("GET", "pods", "200")
    metrics.count_outcome("measured", "TerminationMessage")
    metrics.actions.labels("CreatePod").inc()
    metrics.reconcile_errors.labels("TemporaryError").inc()
    metrics.resumed.labels("rung").inc(3)
    metrics.watch_age.labels("pods").set(1.0)
    metrics.build.labels("1.2.3").set(1)
    metrics.decision_seconds.labels("true").observe(0.1)
    for histogram in (metrics.queue_seconds, metrics.reconcile_seconds, metrics.loop_lag):
        histogram.observe(0.1)
    return metrics


def families(metrics: OperatorMetrics) -> list[Metric]:
    return [family for family in metrics.registry.collect() if family.name.startswith("hpo_")]


def labels(family: Metric) -> set[str]:
    return {label for sample in family.samples for label in sample.labels} - {"le"}


def test_every_metric_is_documented_with_its_type_and_its_labels() -> None:
    rows = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("| `hpo_")]
    documented = {name.strip().strip("`"): tuple(map(str.strip, rest)) for name, *rest in rows}
    own = {name: row for name, row in documented.items() if not name.startswith("hpo_trial_metric")}
    expected = {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            ", ".join(f"`{label}`" for label in sorted(labels(family))),
            family.documentation,
        )
        for family in families(filled())
    }
    assert own == expected


def test_promtool_finds_nothing_to_say() -> None:
    try:
        promtool = ensure(os.environ).promtool
    except NoPrometheusError as error:
        pytest.skip(str(error))
    page = generate_latest(filled().registry)
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_a_study_that_is_gone_leaves_no_series() -> None:
    metrics = filled()
    assert b'study="demo"' in generate_latest(metrics.registry)
    metrics.forget_study("lab", "demo")
    assert b'study="demo"' not in generate_latest(metrics.registry)


def test_the_causes_of_failures_are_bounded() -> None:
    """A trainer may call its failure as it likes."""
    metrics = OperatorMetrics()
    for cause in ("OutOfMemory", "Solar flare", "Moonrise"):
        metrics.count_outcome("failed", cause)
    counted = metrics.registry.get_sample_value
    assert counted("hpo_trial_outcomes_total", {"outcome": "failed", "cause": "OutOfMemory"}) == 1
    assert counted("hpo_trial_outcomes_total", {"outcome": "failed", "cause": "Other"}) == 2


def test_each_kind_of_error_is_counted_from_the_start() -> None:
    assert set(ERRORS) == {kind.__name__ for kind in ClusterError.__subclasses__()}
