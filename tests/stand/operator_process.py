"""The operator as it is installed: its CRDs, its own service account with the very rules that it ships, its process."""

from __future__ import annotations

import os
import socket
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from stand.control_plane import ControlPlane
from stand.daemons import Daemon

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "hpo-system"
ACCOUNT = "hpo-operator"


def install(plane: ControlPlane) -> None:
    """CRDs, namespace, service account, role; as the chart does. Repeatable."""
    install_crds(plane)
    install_account(plane)


def install_account(plane: ControlPlane) -> None:
    """All but the CRDs."""
    plane.kubectl("apply", "-f", "-", input_text=yaml.safe_dump_all(_account()))


def install_crds(plane: ControlPlane) -> None:
    """Until both kinds are served. (``kubectl wait`` of 1.20 fails where a new CRD has no conditions yet.)"""
    plane.kubectl("apply", "--validate=false", "-f", str(ROOT / "crds"))
    for kind in ("hpostudies", "hpotrials"):
        served = partial(plane.answers, f"/apis/hpo.study/v1alpha1/namespaces/default/{kind}")
        plane.wait_until(served, f"the API server does not serve {kind}")


class OperatorProcess:
    """``python -m hpo_operator`` under its own service account. May be started, killed and started again."""

    def __init__(
        self,
        plane: ControlPlane,
        sample_seconds: float = 1.0,
        name: str = "operator",
        prometheus: str = "",
        server: str | None = None,
    ) -> None:
        """``server``: URL by which it reaches the API server; None: directly."""
        self._plane, self._name, self._prometheus = plane, name, prometheus
        self._kubeconfig = plane.kubeconfig_for(NAMESPACE, ACCOUNT, server)
        self._sample_seconds = sample_seconds
        self.port = free_port()

    def start(self) -> Daemon:
        settings = {
            "HPO_OPERATOR_KUBECONFIG": str(self._kubeconfig),
            "HPO_OPERATOR_PORT": str(self.port),
            "HPO_OPERATOR_SAMPLE_SECONDS": str(self._sample_seconds),
            "HPO_OPERATOR_LEASE": f"{NAMESPACE}/{ACCOUNT}",
            "HPO_OPERATOR_IDENTITY": self._name,  # as a Pod's name: its restarted container need not wait
            "HPO_OPERATOR_PROMETHEUS": self._prometheus,
        }
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "operator"),
        } | settings
        return self._plane.launch(self._name, [sys.executable, "-m", "hpo_operator"], environ)

    @property
    def daemon(self) -> Daemon:
        return self._plane.processes[self._name]

    def answers(self, path: str) -> str:
        """What stands on ``path`` of its HTTP page; empty while nothing answers, or not with 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
                return str(response.read().decode())
        except urllib.error.URLError:
            return ""

    @property
    def log(self) -> Path:
        return self._plane.directory / "logs" / f"{self._name}.log"


def _account() -> list[dict[str, Any]]:
    rules = yaml.safe_load((ROOT / "helm/hpo-operator/rbac-rules.yaml").read_text())
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": ACCOUNT}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": ACCOUNT},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": ACCOUNT},
            "subjects": [subject],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "Role",
            "metadata": {"name": ACCOUNT, "namespace": NAMESPACE},
            "rules": yaml.safe_load((ROOT / "helm/hpo-operator/rbac-lease-rules.yaml").read_text()),
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": ACCOUNT, "namespace": NAMESPACE},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": ACCOUNT},
            "subjects": [subject],
        },
    ]


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
