"""One load on a control plane of its own: from an idle operator to the last study's end."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scale.load import NAMESPACE, Load, manifests
from scale.measure import cpu_seconds, histogram_quantile, memory, quantile, scrape, total
from stand.build import Assets
from stand.control_plane import ControlPlane
from stand.operator_process import ROOT, OperatorProcess, install

Raw = dict[str, Any]
STUDIES = f"/apis/hpo.study/v1alpha1/namespaces/{NAMESPACE}/hpostudies"
SETTLE_SECONDS = 5.0
LOOK_SECONDS = 2.0
WRITES = ("POST", "PUT", "PATCH", "DELETE")
PROCESSES = ("operator", "kube-apiserver", "etcd", "kubelet")


def run(load: Load, folder: Path, assets: Assets, limit_seconds: float, sample_seconds: float = 5.0) -> Raw:
    """What the load cost. Raises ControlPlaneError when it takes longer than ``limit_seconds``.

    The scheduler and the controller manager are ended first: on a cluster they have machines of their own.
    """
    with ControlPlane(folder, assets) as plane:
        install(plane)
        _namespace(plane)
        plane.end("kube-scheduler")
        plane.end("kube-controller-manager")
        operator = OperatorProcess(plane, sample_seconds)
        operator.start()
        plane.wait_until(lambda: _is_ready(operator), "the operator is not ready")
        time.sleep(SETTLE_SECONDS)  # what starting needed is done; nothing is judged by it
        idle = memory(operator.daemon.pid)["now"]
        seen = _kubelet(plane, load)
        before = {name: cpu_seconds(plane.processes[name].pid) for name in PROCESSES}
        requests_before = _requests(operator)
        began = time.monotonic()
        for manifest in manifests(load):
            plane.request("POST", STUDIES, manifest)
        created = time.monotonic() - began
        loads = _await_end(plane, load, limit_seconds)
        seconds = time.monotonic() - began
        used = {name: cpu_seconds(plane.processes[name].pid) - before[name] for name in PROCESSES}
        peak = memory(operator.daemon.pid)["peak"]
        page = scrape(operator.port)
        requests = _requests(operator)
        plane.end("kubelet")
        found = _outcome(plane)
        log = operator.log.read_text()
    kubelet = json.loads(seen.read_text())
    asked = {name: count - requests_before.get(name, 0) for name, count in requests.items()}
    return {
        "load": asdict(load),
        "trials": load.total,
        "seconds": seconds,
        "seconds_to_create": created,
        "studies": found,
        "most_running": kubelet["most_running"],
        "cpu_seconds": used,
        "idle_megabytes": idle,
        "peak_megabytes": peak,
        "requests": dict(sorted(asked.items())),
        "writes_per_trial": sum(n for name, n in asked.items() if name.split()[0] in WRITES) / load.total,
        "reads_per_trial": sum(n for name, n in asked.items() if name.split()[0] not in WRITES) / load.total,
        "gaps": len(kubelet["gaps"]),
        "gap_seconds": {f"p{p}": quantile(kubelet["gaps"], p / 100) for p in (50, 95, 99)},
        "kubelet_lag_p99_seconds": quantile(kubelet["lags"], 0.99),
        "lag_p99_seconds": histogram_quantile(page, "hpo_event_loop_lag_seconds", 0.99),
        "lag_p95_seconds": histogram_quantile(page, "hpo_event_loop_lag_seconds", 0.95),
        "reconciles_per_trial": total(page, "hpo_reconcile_duration_seconds_count")[""] / load.total,
        "errors": dict(total(page, "hpo_reconcile_errors_total", "reason")),
        "machine_load": sum(loads) / max(1, len(loads)),
        "tracebacks": log.count("Traceback"),
    }


def _namespace(plane: ControlPlane) -> None:
    plane.request(
        "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"

    def has_account() -> bool:
        return plane.answers(path) and (plane.minor_version >= 24 or bool(plane.request("GET", path).get("secrets")))

    plane.wait_until(has_account, "the namespace has no service account")


def _is_ready(operator: OperatorProcess) -> bool:
    return operator.answers("/readyz") == "ready\n"


def _kubelet(plane: ControlPlane, load: Load) -> Path:
    out = plane.directory / "kubelet-saw.json"
    address = f"127.{plane.port >> 8}.{plane.port & 255}.1"
    argv: list[str | Path] = [sys.executable, "-m", "scale.kubelet", "--kubeconfig", plane.kubeconfig]
    argv += ["--address", address, "--seconds", str(load.seconds)]
    argv += ["--budget", str(load.trials), "--out", out]
    folders = ("operator", "tests", "benchmarks")
    plane.launch("kubelet", argv, {"PYTHONPATH": ":".join(str(ROOT / name) for name in folders)})
    return out


def _requests(operator: OperatorProcess) -> dict[str, float]:
    return dict(total(scrape(operator.port), "hpo_api_requests_total", "verb", "resource"))


def _await_end(plane: ControlPlane, load: Load, limit_seconds: float) -> list[float]:
    """Returns the machine's load averages meanwhile, once every study has ended."""
    deadline = time.monotonic() + limit_seconds
    loads = []
    while sum(_outcome(plane).values()) < load.studies:
        for name, daemon in plane.processes.items():
            daemon.check(name)
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"not done after {limit_seconds:g} s: {_outcome(plane)}; logs: {plane.directory / 'logs'}"
            )
        loads.append(os.getloadavg()[0])
        time.sleep(LOOK_SECONDS)
    return loads


def _outcome(plane: ControlPlane) -> dict[str, int]:
    """How many studies ended, by phase and reason."""
    ended: dict[str, int] = {}
    for study in plane.request("GET", f"{STUDIES}?resourceVersion=0")["items"]:
        status = study.get("status") or {}
        if status.get("completionTime"):
            key = f"{status['phase']} {status['reason']}"
            ended[key] = ended.get(key, 0) + 1
    return ended
