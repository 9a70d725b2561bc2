"""How the operator begins: where it finds no API server, and where it comes before its kinds."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from stand.build import Assets
from stand.cluster import start_process_node
from stand.control_plane import ControlPlane
from stand.operator_process import NAMESPACE, ROOT, OperatorProcess, install, install_account
from stand.studies import Studies, toy_study


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"HPO_OPERATOR_KUBECONFIG": "/absent/kubeconfig"}, "/absent/kubeconfig: no such kubeconfig"),
        ({}, "no API server: expected HPO_OPERATOR_KUBECONFIG, KUBECONFIG, ~/.kube/config or a Pod's service account"),
        (
            {"HPO_OPERATOR_PROMETHEUS": "default=prometheus:9090"},
            "HPO_OPERATOR_PROMETHEUS: expected NAME=http://ADDRESS, found 'default=prometheus:9090'",
        ),
        ({"HPO_OPERATOR_LEASE": "hpo-operator"}, "HPO_OPERATOR_LEASE: expected namespace/name, found 'hpo-operator'"),
    ],
)
def test_without_a_way_to_an_api_server(tmp_path: Path, given: dict[str, str], sentence: str) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator"), "HOME": str(tmp_path)} | given
    command = [sys.executable, "-m", "hpo_operator"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 78
    assert done.stderr.splitlines()[-1] == sentence


def ready(operator: OperatorProcess) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/readyz", timeout=10) as response:
            return response.read() == b"ready\n"
    except urllib.error.URLError:
        return False


@pytest.mark.cluster
def test_an_operator_that_comes_before_its_kinds_waits_for_them(stand_assets: Assets, tmp_path: Path) -> None:
    """kopf alone would watch what there is when it begins, and never anything else."""
    with ControlPlane(tmp_path / "stand", stand_assets) as plane:
        install_account(plane)
        operator = OperatorProcess(plane)
        operator.start()
        plane.wait_until(
            lambda: "waiting for the API group hpo.study/v1alpha1" in operator.log.read_text(), "it waits for nothing"
        )
        assert not ready(operator)
        install(plane)
        plane.wait_until(lambda: ready(operator), "it never began")
        studies = Studies(plane, NAMESPACE, tmp_path)
        studies.apply(toy_study("late", trials=2))
        studies.kubectl("wait", "--for=condition=Progressing=false", "hpo/late", "--timeout=90s")
        assert studies.get("hpostudies", "late")["status"]["reason"] == "NoNodes"
        start_process_node(plane)
        studies.wait("late", "Succeeded")
