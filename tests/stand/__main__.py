"""`python -m stand up|down|status|kubeconfig`: a cluster to work with, behind `make cluster-up` and `cluster-down`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from stand.build import BuildError, ensure
from stand.cluster import start_process_node
from stand.control_plane import ControlPlane, ControlPlaneError
from stand.daemons import DaemonError
from stand.operator_process import OperatorProcess, install
from stand.volumes import make_claims, volume_folders


def up(plane: ControlPlane) -> int:
    """Start everything detached, the operator included; take down again what a failure leaves behind."""
    plane.require_stopped()
    try:
        plane.start()
        start_process_node(plane)
        install(plane)
        folders = volume_folders(Path(".hpo/volumes"), plane.directory / "checkpoints")
        asyncio.run(make_claims(plane.kubeconfig, "default", folders))
        OperatorProcess(plane).start()
    except BaseException:
        plane.stop()
        raise
    print(f"export KUBECONFIG={plane.kubeconfig}")
    return 0


def down(plane: ControlPlane) -> int:
    plane.stop()
    return 0


def status(plane: ControlPlane) -> int:
    """Exit code 0 if all runs, 1 if not."""
    if not plane.processes:
        print(f"nothing runs in {plane.directory}")
        return 1
    for name, daemon in plane.processes.items():
        print(f"{name:<24} {'running' if daemon.alive() else 'ended':<8} process {daemon.pid}, log {daemon.log}")
    ready = plane.ready()
    print(f"{'API server':<24} {'ready' if ready else 'not ready':<8} {plane.server}")
    return 0 if ready and all(daemon.alive() for daemon in plane.processes.values()) else 1


def kubeconfig(plane: ControlPlane) -> int:
    if not plane.processes:
        print(f"error: nothing runs in {plane.directory}: start it with `python -m stand up`", file=sys.stderr)
        return 1
    print(plane.kubeconfig)
    return 0


COMMANDS = {"up": up, "down": down, "status": status, "kubeconfig": kubeconfig}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stand", description="a local Kubernetes cluster")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--dir", type=Path, default=Path(".cluster"), help="where the cluster lives (.cluster)")
    options = parser.parse_args()
    try:
        assets = ensure(os.environ) if options.command == "up" else None
        return COMMANDS[options.command](ControlPlane(options.dir, assets))
    except (BuildError, ControlPlaneError, DaemonError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
