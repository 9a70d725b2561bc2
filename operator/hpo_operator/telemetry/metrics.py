"""Names, units and labels of the operator's own Prometheus metrics: https://prometheus.io/docs/practices/naming/

Labels are bounded: studies that are served, states, kinds of actions, causes out of a list. A test holds
docs/metrics.md to these definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

STATES = ("pending", "running", "waiting", "succeeded", "failed", "stopped")
FAILURES = (
    "BadConfig",
    "BadData",
    "DeadlineExceeded",
    "Diverged",
    "Error",
    "InvalidMeasurement",
    "MetricMissing",
    "OutOfMemory",
    "TooManyInterruptions",
)
"""Causes of failures that are counted by name; a trainer may name any other."""
ERRORS = ("ConflictError", "NotFoundError", "RefusedError", "TemporaryError")
"""Kinds of errors of the package ``kube``."""
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
QUEUE_BUCKETS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
DECISION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class OperatorMetrics:
    """All series of one operator, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._study_labels: set[tuple[str, str]] = set()
        self._define_studies()
        self._define_trials()
        self._define_work()
        self._define_process()

    def _define_studies(self) -> None:
        study = ("namespace", "study")
        self.trials = Gauge(
            "hpo_study_trials", "Trials of a study by state.", (*study, "state"), registry=self.registry
        )
        self.best = Gauge("hpo_study_best_objective", "Objective of the incumbent.", study, registry=self.registry)
        self.gpu_seconds = Gauge(
            "hpo_study_gpu_seconds", "GPU time used by a study's Pods.", study, registry=self.registry
        )

    def _define_trials(self) -> None:
        self.outcomes = Counter(
            "hpo_trial_outcomes_total",
            "What became of attempts: measured, failed, interrupted or stopped, and by what.",
            ("outcome", "cause"),
            registry=self.registry,
        )
        self.queue_seconds = Histogram(
            "hpo_pod_queue_duration_seconds",
            "From a Pod's creation to its container's start, to the second.",
            buckets=QUEUE_BUCKETS,
            registry=self.registry,
        )
        self.resumed = Counter(
            "hpo_resumed_resource_total",
            "Fidelity, such as epochs, that new Pods did not train again: measured at a rung, or last seen before an "
            "interruption (of which the checkpoint may have less).",
            ("after",),
            registry=self.registry,
        )

    def _define_work(self) -> None:
        self.actions = Counter("hpo_actions_total", "Actions performed.", ("action",), registry=self.registry)
        self.reconcile_errors = Counter(
            "hpo_reconcile_errors_total",
            "Reconciliations that failed and are tried again.",
            ("reason",),
            registry=self.registry,
        )
        for reason in ERRORS:  # a series that begins with its first error has no increase
            self.reconcile_errors.labels(reason)
        self.reconcile_seconds = Histogram(
            "hpo_reconcile_duration_seconds", "Observe, decide and perform until settled.", registry=self.registry
        )
        self.decision_seconds = Histogram(
            "hpo_decision_duration_seconds",
            "One decision; suggests: whether it began a trial, model fits included.",
            ("suggests",),
            buckets=DECISION_BUCKETS,
            registry=self.registry,
        )
        self.api_requests = Counter(
            "hpo_api_requests_total",
            "Requests to the API server, its watches not counted; code none: no answer.",
            ("verb", "resource", "code"),
            registry=self.registry,
        )
        self.watch_age = Gauge(
            "hpo_watch_age_seconds",
            "Since the watch of a resource last said anything; it does about once a minute.",
            ("resource",),
            registry=self.registry,
        )

    def _define_process(self) -> None:
        self.loop_lag = Histogram(
            "hpo_event_loop_lag_seconds",
            "How late the event loop was, ten times a second.",
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )
        self.leader = Gauge(
            "hpo_operator_leader", "1 while this operator acts, 0 while it stands by.", registry=self.registry
        )
        self.build = Gauge(
            "hpo_build_info", "Always 1; the version is its label.", ("version",), registry=self.registry
        )
        ProcessCollector(registry=self.registry)

    def count_request(self, verb: str, resource: str, code: str) -> None:
        """See ``hpo_api_requests_total``."""
        self.api_requests.labels(verb, resource, code).inc()

    def count_outcome(self, outcome: str, cause: str) -> None:
        """See ``hpo_trial_outcomes_total``. A failure's ``cause`` may be any word."""
        bounded = cause if outcome != "failed" or cause in FAILURES else "Other"
        self.outcomes.labels(outcome, bounded).inc()

    def observe_study(self, namespace: str, study: str, status: Mapping[str, Any]) -> None:
        """Set a study's gauges from its status."""
        self._study_labels.add((namespace, study))
        for state in STATES:
            self.trials.labels(namespace, study, state).set((status.get("trials") or {}).get(state, 0))
        self.gpu_seconds.labels(namespace, study).set(3600 * status.get("gpuHours", 0.0))
        if status.get("best"):
            self.best.labels(namespace, study).set(status["best"]["value"])

    def forget_study(self, namespace: str, study: str) -> None:
        """Drop the series of a study that is gone."""
        if (namespace, study) not in self._study_labels:
            return
        self._study_labels.discard((namespace, study))
        for gauge in (self.trials, self.best, self.gpu_seconds):
            gauge.remove_by_labels({"namespace": namespace, "study": study})
