"""The operator, running for real under its own service account, for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconcile.restricted import violations
from stand import prometheus
from stand.control_plane import ControlPlane
from stand.daemons import Daemon
from stand.operator_process import ACCOUNT, NAMESPACE, OperatorProcess, free_port, install
from stand.prometheus import PrometheusServer
from stand.studies import Studies


@pytest.fixture(scope="session")
def prometheus_port() -> int:
    """Where the operator is told that a Prometheus server listens, whether one does or not."""
    return free_port()


@pytest.fixture(scope="session")
def prometheus_server(control_plane: ControlPlane, prometheus_port: int, operator: OperatorProcess) -> PrometheusServer:
    """Not started. A machine that has no Prometheus and can fetch none skips, and says why."""
    try:
        return PrometheusServer(control_plane, prometheus.ensure(os.environ), prometheus_port, operator.port)
    except prometheus.NoPrometheusError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def operator(control_plane: ControlPlane, process_node: Daemon, prometheus_port: int) -> Iterator[OperatorProcess]:
    """The operator with its CRDs; tests may kill it and must leave it running."""
    install(control_plane)
    server = f"default=http://127.0.0.1:{prometheus_port}"
    process = OperatorProcess(control_plane, sample_seconds=0.5, prometheus=server)
    process.start()
    yield process
    print(process.log.read_text()[-4000:])
    judge_pods(control_plane)


def judge_pods(plane: ControlPlane) -> None:
    """Every Pod that the operator ever asked for meets the profile *restricted*, and has no token of the API."""
    created = [
        event["requestObject"]
        for event in plane.audited(f"{NAMESPACE}:{ACCOUNT}")
        if event["verb"] == "create" and event.get("objectRef", {}).get("resource") == "pods"
    ]
    for pod in created:
        assert violations(pod["spec"]) == [], pod["metadata"]["name"]
        assert pod["spec"]["automountServiceAccountToken"] is False, pod["metadata"]["name"]
    print(f"{len(created)} Pods were asked for; all are restricted")


@pytest.fixture
def studies(control_plane: ControlPlane, operator: OperatorProcess, namespace: str, tmp_path: Path) -> Studies:
    """Studies in a namespace of the test's own."""
    return Studies(control_plane, namespace, tmp_path)
