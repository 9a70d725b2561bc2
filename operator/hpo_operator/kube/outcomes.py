"""What performed actions mean to the counters: outcomes of attempts, waiting for a node, training that was spared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from hpo_operator.api.trial import TrialStatus
from hpo_operator.manifests.names import TRIAL_LABEL
from hpo_operator.reconcile.actions import Action, CreatePod, PutTrialStatus
from hpo_operator.reconcile.clock import seconds_between
from hpo_operator.reconcile.snapshot import Snapshot
from hpo_operator.telemetry.metrics import OperatorMetrics

Raw = Mapping[str, Any]


class Outcomes:
    """Counts what comes of the actions that were decided by one snapshot of ``study``."""

    def __init__(self, metrics: OperatorMetrics, snapshot: Snapshot) -> None:
        self.study, self._metrics, self._snapshot = snapshot.study, metrics, snapshot

    def count(self, action: Action) -> None:
        """Called once ``action`` is performed."""
        match action:
            case PutTrialStatus(name, status):
                before = self._status(name)
                self._count_outcome(before, status)
                self._count_waiting(before, status)
            case CreatePod(manifest):
                trial = manifest["metadata"]["labels"].get(TRIAL_LABEL)
                self._count_resumed(self._status(trial))

    @cached_property
    def _trials(self) -> Mapping[str, Raw]:
        return {raw["metadata"]["name"]: raw for raw in self._snapshot.trials}

    def _status(self, trial: str) -> Raw:
        """The trial's, before the actions."""
        raw = self._trials.get(trial)
        return {} if raw is None else raw.get("status") or {}

    @cached_property
    def _created(self) -> Mapping[str, str | None]:
        pods = (pod["metadata"] for pod in self._snapshot.pods)
        return {metadata["name"]: metadata.get("creationTimestamp") for metadata in pods}

    def _count_outcome(self, before: Raw, status: TrialStatus) -> None:
        for measurement in status.measurements[len(before.get("measurements") or []) :]:
            self._metrics.count_outcome("measured", measurement.source)
        if status.failure is not None and not before.get("failure"):
            self._metrics.count_outcome("failed", status.failure.reason)
        elif status.interruptions > before.get("interruptions", 0):
            self._metrics.count_outcome("interrupted", "Interrupted")
        if status.phase == "Stopped" and before.get("phase") != "Stopped":
            self._metrics.count_outcome("stopped", "Stopped")

    def _count_waiting(self, before: Raw, status: TrialStatus) -> None:
        """Once for each Pod, when its start is first stored."""
        if status.pod is None or status.pod_start_time is None:
            return
        if before.get("pod") == status.pod and before.get("podStartTime"):
            return
        created = self._created.get(status.pod)
        if created is not None:
            self._metrics.queue_seconds.observe(seconds_between(created, status.pod_start_time))

    def _count_resumed(self, status: Raw) -> None:
        """What the trial had trained before this Pod."""
        measured = max((m["resource"] for m in status.get("measurements") or []), default=0)
        seen = max((point["resource"] for point in status.get("curve") or []), default=0)
        self._metrics.resumed.labels(after="rung").inc(measured)
        self._metrics.resumed.labels(after="interruption").inc(max(0, seen - measured))
