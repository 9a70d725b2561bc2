"""A control plane and its process node together: what `python -m stand` and the fixtures start."""

from __future__ import annotations

import os
import sys
import urllib.error
from pathlib import Path

from stand.control_plane import ControlPlane
from stand.daemons import Daemon
from stand.node_object import NodeObject

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = tuple(REPOSITORY / name for name in ("operator", "trainer-image", "tests"))
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Many trials share the machine's cores; numerical libraries would each take them all."""


def start_process_node(plane: ControlPlane, name: str = NodeObject().name) -> Daemon:
    """Start a process node of ``plane``; returns once the scheduler may place Pods on it."""
    argv: list[str | Path] = [sys.executable, "-m", "stand.process_node", "--name", name]
    argv += [
        "--kubeconfig",
        plane.kubeconfig,
        "--root",
        plane.directory / "pods" / name,
        "--network",
        _network(plane.port),
        "--certificate",
        plane.credentials.server_certificate,
        "--key",
        plane.credentials.server_key,
    ]
    for variable, value in THREADS.items():
        argv += ["--env", f"{variable}={value}"]
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environ["PYTHONPATH"] = os.pathsep.join(map(str, SOURCE_ROOTS))
    daemon = plane.launch(name, argv, environ)
    plane.wait_until(lambda: _schedulable(plane, name), f"the node {name} is not ready")
    return daemon


def _network(port: int) -> str:
    """Addresses that no other stand on this machine hands out: the port is this stand's alone."""
    return f"127.{port >> 8}.{port & 255}"


def _schedulable(plane: ControlPlane, name: str) -> bool:
    try:
        node = plane.request("GET", f"/api/v1/nodes/{name}")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False
    conditions = {each["type"]: each["status"] for each in node["status"].get("conditions") or []}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")
