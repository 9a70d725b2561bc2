"""containerd, kubelet and kube-proxy beside a control plane: a node that runs images."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
from pathlib import Path
from typing import Any

from node.images import PAUSE, Image, ImageError
from node.programs import NoProgramsError, Programs
from stand.build import Assets
from stand.control_plane import ControlPlane
from stand.credentials import NODE_NAME

ADDRESS = "10.200.0.1"
"""The API server's and the node's; on the loopback device of the node's network namespace."""
PODS = "10.244.0.0/24"
SOCKET = "/run/containerd/containerd.sock"
KUBELET_PORT = 10250


class RealNode:
    """Processes of ``plane``, to run in the namespaces that node.machine makes."""

    def __init__(self, plane: ControlPlane, assets: Assets, programs: Programs, cgroup: str) -> None:
        if assets.kubelet is None or assets.kube_proxy is None:
            raise NoProgramsError("no kubelet and kube-proxy: unset KUBEBUILDER_ASSETS, so that they are built")
        self._plane, self._programs, self._cgroup = plane, programs, cgroup
        self._kubelet, self._kube_proxy = assets.kubelet, assets.kube_proxy
        self._folder = plane.directory / "node"

    def start_containerd(self) -> None:
        """Returns once it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write("cni/10-bridge.conflist", json.dumps(bridge()))
        settings = self._write("containerd.toml", containerd_configuration(self._folder, self._programs))
        self._launch("containerd", self._programs.program("containerd"), f"--config={settings}")
        self._plane.wait_until(lambda: self._ctr("version").returncode == 0, "containerd does not answer")

    def load(self, image: Image) -> None:
        """Unpack an image where the kubelet looks for it."""
        done = self._ctr("--namespace", "k8s.io", "images", "import", str(image.archive))
        if done.returncode:
            raise ImageError(f"ctr images import {image.archive}: {done.stderr.strip()}")

    def start(self) -> None:
        """The kubelet and kube-proxy; returns once the scheduler may place Pods here."""
        kubelet = kubelet_configuration(self._plane.credentials.authority, self._cgroup, self._folder)
        self._launch(
            "kubelet",
            self._kubelet,
            f"--config={self._write('kubelet.json', json.dumps(kubelet))}",
            f"--kubeconfig={self._plane.kubeconfig_of('kubelet')}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={ADDRESS}",
            "--container-runtime=remote",
            f"--container-runtime-endpoint=unix://{SOCKET}",
        )
        self._launch(
            "kube-proxy",
            self._kube_proxy,
            f"--kubeconfig={self._plane.kubeconfig_of('kube-proxy')}",
            f"--hostname-override={NODE_NAME}",
            f"--cluster-cidr={PODS}",
            "--proxy-mode=iptables",
            "--conntrack-max-per-core=0",  # 0: as the machine has it
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        )
        self._plane.wait_until(self._ready, f"the node {NODE_NAME} is not ready", 120)

    def memory(self) -> dict[str, Any]:
        """The kubelet's own summary of its Pods' memory and CPU (``/stats/summary``), asked through the API server."""
        found: dict[str, Any] = self._plane.request("GET", f"/api/v1/nodes/{NODE_NAME}/proxy/stats/summary")
        return found

    def _ready(self) -> bool:
        try:
            node = self._plane.request("GET", f"/api/v1/nodes/{NODE_NAME}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return False
        conditions = {each["type"]: each["status"] for each in node["status"].get("conditions") or []}
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")

    def _launch(self, name: str, program: Path, *arguments: str) -> None:
        self._plane.launch(name, [program, *arguments], {"PATH": self._programs.path, "HOME": str(self._folder)})

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [self._programs.program("ctr"), "--address", SOCKET, *arguments]
        environ = os.environ | {"PATH": self._programs.path}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)

    def _write(self, name: str, text: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def bridge() -> dict[str, Any]:
    """Pods on one bridge; the default route leads to the node, hence to the API server's address."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": PODS}]]}
    plugin = {"type": "bridge", "bridge": "cni0", "isDefaultGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "stand", "plugins": [plugin]}


def containerd_configuration(folder: Path, programs: Programs) -> str:
    """https://github.com/containerd/containerd/blob/release/1.6/docs/cri/config.md"""
    cri = '[plugins."io.containerd.grpc.v1.cri"'
    return f"""
version = 2
root = "{folder / "containerd"}"
state = "/run/containerd"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder / "opt"}"
{cri}]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true # without CAP_SYS_RESOURCE nobody may lower one
{cri}.cni]
  bin_dir = "{programs.network_plugins}"
  conf_dir = "{folder / "cni"}"
{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
{cri}.containerd.runtimes.runc.options]
  BinaryName = "{programs.program("runc")}"
"""


def kubelet_configuration(authority: Path, cgroup: str, folder: Path) -> dict[str, Any]:
    """https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/"""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "port": KUBELET_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failSwapOn": False,
        # No registry could bring an image back, and the machine's disk may be as full as it is.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi"},
        "volumePluginDir": str(folder / "volume-plugins"),
    }
