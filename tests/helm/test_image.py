"""The operator's image on a real API server, with the user, the environment and the token of the chart's Pod."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stand.build import Assets
from stand.cluster import start_process_node
from stand.control_plane import TOKEN_SECONDS, ControlPlane
from stand.helm import Helm
from stand.studies import Studies, toy_study

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[2]
NAMESPACE, RELEASE = "hpo-system", "hpo-operator"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
MOUNT = "/run/secrets/kubernetes.io/serviceaccount"  # /var/run is a link to /run, which buildah does not follow


@pytest.fixture
def container(tmp_path: Path) -> Iterator[str]:
    """A container of the image, with buildah, which needs no engine."""
    image = f"hpo-operator:{VERSION}"
    if not shutil.which("buildah"):
        pytest.skip("no buildah on the PATH")
    if subprocess.run(["buildah", "inspect", "--type", "image", image], capture_output=True, check=False).returncode:
        pytest.skip(f"no image {image}: `make image-operator` builds it")
    name = subprocess.check_output(["buildah", "from", "--pull-never", image], text=True).strip()
    yield name
    subprocess.run(["buildah", "rm", name], check=True, capture_output=True)


def mounted_token(plane: ControlPlane, folder: Path) -> None:
    """What a kubelet mounts for the operator's service account."""
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    answer = plane.request("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{RELEASE}/token", request)
    folder.mkdir()
    (folder / "token").write_text(answer["status"]["token"])
    shutil.copy(plane.credentials.authority, folder / "ca.crt")
    (folder / "ca.crt").chmod(0o644)


def command(pod: dict[str, Any], container: str, token: Path, server_port: int) -> list[str | Path]:
    """What runs the Pod's only container, in the host's network."""
    (described,) = pod["containers"]
    variables = {e["name"]: "a-pod" if "valueFrom" in e else e.get("value", "") for e in described["env"]}
    variables |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server_port)}
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    options = ["--isolation", "chroot", "--user", user, "--volume", f"{token}:{MOUNT}:ro"]
    options += [f"--env={name}={value}" for name, value in variables.items()]
    return [str(shutil.which("buildah")), "run", *options, container, "--", *described["command"]]


def test_the_bill_of_materials_names_what_is_locked_and_what_debian_records(container: str) -> None:
    script = (ROOT / "operator/sbom.py").read_text()
    run = [
        "buildah",
        "run",
        "--isolation",
        "chroot",
        container,
        "--",
        "python",
        "-c",
        script,
        f"hpo-operator:{VERSION}",
    ]
    found = json.loads(subprocess.check_output(run, text=True))["components"]
    python = {each["name"]: each["version"] for each in found if each["purl"].startswith("pkg:pypi/")}
    locked = re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "operator/requirements.lock").read_text(), flags=re.MULTILINE)
    assert python == dict(locked) | {"hpo-operator": VERSION}
    debian = {each["name"] for each in found if each["purl"].startswith("pkg:deb/debian/")}
    assert {"libc6", "libssl3", "python3.11-minimal"} <= debian and len(debian) == len(found) - len(python)


def test_the_image_runs_a_study(
    stand_assets: Assets, helm_binary: Path, chart: Path, container: str, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    with ControlPlane(tmp_path / "stand", stand_assets) as plane:
        start_process_node(plane)
        helm = Helm(helm_binary, tmp_path, plane.kubeconfig)
        values = {"replicaCount": 0, "port": port, "sampleSeconds": 0.5}
        helm("install", RELEASE, chart, "--namespace", NAMESPACE, "--create-namespace", values=values)
        deployment = plane.request("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{RELEASE}")
        mounted_token(plane, tmp_path / "token")
        argv = command(deployment["spec"]["template"]["spec"], container, tmp_path / "token", plane.port)
        plane.launch("image", argv, dict(os.environ))
        studies = Studies(plane, "default", tmp_path)
        studies.apply(toy_study("by-the-image", trials=6, parallelism=2))
        studies.until_pods("by-the-image", 1, "Succeeded")  # or the operator's log says why not
        assert studies.wait("by-the-image")["status"]["trials"]["succeeded"] == 6
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            metrics = page.read().decode()
        assert f'hpo_build_info{{version="{VERSION}"}} 1.0' in metrics
        assert "hpo_operator_leader 1.0" in metrics
