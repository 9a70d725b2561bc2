"""``python -m stand.demo STUDY``: a study on a real API server, from nothing to its result, shown with kubectl.

Starts a control plane with a process node, installs the operator under its own service account, applies the study,
shows its progress, and takes everything down. Each folder of ``hpo run``'s .hpo/volumes is a volume claim.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

from stand.build import BuildError, ensure
from stand.cluster import start_process_node
from stand.control_plane import ControlPlane, ControlPlaneError
from stand.operator_process import OperatorProcess, install
from stand.volumes import make_claims, volume_folders

NAMESPACE = "default"


def show(plane: ControlPlane, *arguments: str) -> str:
    """Run kubectl as a user would, and print the command and its answer."""
    print(f"\n$ kubectl {' '.join(arguments)}", flush=True)
    answer = plane.kubectl(*arguments)
    print(answer.rstrip(), flush=True)
    return answer


def run(study: Path, plane: ControlPlane, kubectl: Path, volumes: Path, limit_seconds: float) -> int:
    start_process_node(plane)
    install(plane)
    manifest = yaml.safe_load(study.read_text())
    folders = volume_folders(volumes, plane.directory / "checkpoints")
    asyncio.run(make_claims(plane.kubeconfig, NAMESPACE, folders))
    OperatorProcess(plane).start()
    name = manifest["metadata"]["name"]
    print(f"export KUBECONFIG={plane.kubeconfig}")
    show(plane, "apply", "-f", str(study))
    began = time.monotonic()
    print(f"\n$ kubectl get hpo {name} -w", flush=True)
    environ = os.environ | {"KUBECONFIG": str(plane.kubeconfig)}
    with subprocess.Popen([kubectl, "get", "hpo", name, "-w"], env=environ) as watch:
        try:
            plane.kubectl("wait", "--for=condition=Finished", f"hpo/{name}", f"--timeout={limit_seconds:.0f}s")
        finally:
            watch.terminate()
    print(f"\nfinished after {time.monotonic() - began:.0f} s")
    show(plane, "get", "hpot")
    show(plane, "get", "pods")
    show(plane, "describe", "hpo", name)
    return 0 if plane.kubectl("get", "hpo", name, "-o", "jsonpath={.status.phase}") == "Succeeded" else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stand.demo", description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--dir", type=Path, default=Path(".cluster-demo"), help="where the cluster lives meanwhile")
    parser.add_argument("--volumes", type=Path, default=Path(".hpo/volumes"), help="folder with a folder per claim")
    parser.add_argument("--limit", type=float, default=1800, help="seconds to wait for the end of the study")
    options = parser.parse_args()
    try:
        assets = ensure(os.environ)
        with ControlPlane(options.dir, assets) as plane:
            return run(options.study, plane, assets.kubectl, options.volumes, options.limit)
    except (BuildError, ControlPlaneError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
