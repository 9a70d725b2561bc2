"""The live metrics of a run at ``/metrics``, in a registry of their own (no metrics of the Python process)."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import torch
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from hpo_trainer.device import gpu_memory_peak_bytes
from hpo_trainer.loop import EpochReport
from hpo_trainer.report import host_memory_peak_bytes


class Telemetry:
    """The series of the built-in trainer, as docs/trainer-contract.md lists them."""

    def __init__(self, trial: str | None = None) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._metric = Gauge("hpo_trial_metric", "Latest value of a reported metric", ["name"], registry=self.registry)
        self._resource = self._gauge("hpo_trial_resource", "Completed epochs")
        if trial is not None:
            info = Gauge("hpo_trial_info", "Always 1; the trial is its label", ["trial"], registry=self.registry)
            info.labels(trial).set(1)
        self._speed = self._gauge("hpo_trial_samples_per_second", "Training samples per second of the latest epoch")
        self._seconds = self._gauge("hpo_trial_epoch_seconds", "Training time of the latest epoch")
        peak = self._gauge("hpo_trial_host_memory_peak_bytes", "Peak resident memory of the process")
        peak.set_function(host_memory_peak_bytes)
        if torch.cuda.is_available():
            allocated = self._gauge("hpo_trial_gpu_memory_bytes", "GPU memory allocated by torch")
            allocated.set_function(torch.cuda.memory_allocated)
            most = self._gauge("hpo_trial_gpu_memory_peak_bytes", "Peak GPU memory allocated by torch")
            most.set_function(lambda: gpu_memory_peak_bytes() or 0)

    def _gauge(self, name: str, help: str) -> Gauge:
        return Gauge(name, help, registry=self.registry)

    def serve(self, host: str, port: int) -> None:
        """From a daemon thread. A port that cannot be had is told, and costs no trial: its measurement comes later."""
        try:
            start_http_server(port, host, registry=self.registry)
        except OSError as error:
            print(f"hpo: no /metrics at {host}:{port}: {error}", file=sys.stderr, flush=True)

    def resumed(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self._resource.set(epoch)
        for name, value in metrics.items():
            self._metric.labels(name).set(value)

    def observe(self, report: EpochReport) -> None:
        self.resumed(report.epoch, report.metrics)
        self._seconds.set(report.seconds)
        self._speed.set(report.samples / max(report.seconds, 1e-9))
