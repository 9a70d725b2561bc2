"""Names, units and labels of the operator's own Prometheus metrics. Labels are bounded: studies, states, reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

STATES = ("pending", "running", "waiting", "succeeded", "failed", "stopped")


class OperatorMetrics:
    """All series of one operator, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._study_labels: set[tuple[str, str]] = set()
        self.trials = Gauge(
            "hpo_study_trials", "Trials of a study by state.", ("namespace", "study", "state"), registry=self.registry
        )
        self.best = Gauge(
            "hpo_study_best_objective", "Objective of the incumbent.", ("namespace", "study"), registry=self.registry
        )
        self.gpu_hours = Gauge(
            "hpo_study_gpu_hours", "GPU-hours used by a study's Pods.", ("namespace", "study"), registry=self.registry
        )
        self.actions = Counter("hpo_actions_total", "Actions performed.", ("action",), registry=self.registry)
        self.reconcile_errors = Counter(
            "hpo_reconcile_errors_total",
            "Reconciliations that failed and are tried again.",
            ("reason",),
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            "hpo_reconcile_duration_seconds", "Observe, decide and perform until settled.", registry=self.registry
        )
        self.loop_lag = Gauge(
            "hpo_event_loop_lag_seconds", "How late the event loop was at its last check.", registry=self.registry
        )
        self.leader = Gauge(
            "hpo_operator_leader", "1 while this operator acts, 0 while it stands by.", registry=self.registry
        )
        self.build = Gauge(
            "hpo_build_info", "Always 1; the version is its label.", ("version",), registry=self.registry
        )

    def observe_study(self, namespace: str, study: str, status: Mapping[str, Any]) -> None:
        """Set a study's gauges from its status."""
        self._study_labels.add((namespace, study))
        for state in STATES:
            self.trials.labels(namespace, study, state).set((status.get("trials") or {}).get(state, 0))
        self.gpu_hours.labels(namespace, study).set(status.get("gpuHours", 0.0))
        if status.get("best"):
            self.best.labels(namespace, study).set(status["best"]["value"])

    def forget_study(self, namespace: str, study: str) -> None:
        """Drop the series of a study that is gone."""
        if (namespace, study) not in self._study_labels:
            return
        self._study_labels.discard((namespace, study))
        for gauge in (self.trials, self.best, self.gpu_hours):
            gauge.remove_by_labels({"namespace": namespace, "study": study})
