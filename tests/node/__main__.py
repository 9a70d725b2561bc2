"""``python -m node STUDY``: from the two images to a study that succeeded in real containers under a real kubelet.

Needs root. Everything runs in network, mount and process namespaces of its own, and is gone afterwards but for logs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from node import images, machine, programs
from node.inside import CGROUP
from node.report import report
from node.timeline import Timeline
from stand import helm
from stand.build import BuildError, build_lock, ensure
from stand.cluster import SOURCE_ROOTS
from stand.helm import NoHelmError

KEPT = ("logs",)


def prepare(folder: Path, volumes: Path, timeline: Timeline) -> tuple[programs.Programs, list[images.Image]]:
    """Everything that needs the network, or a store of the machine's."""
    with timeline.stage("programs: Kubernetes, containerd, Helm"):
        ensure(os.environ)
        found = programs.ensure(os.environ)
        helm.ensure(os.environ)
    with timeline.stage("images, out of buildah's storage"):
        made = [images.pause(found.catatonit, folder)]
        made += [images.archive(name, folder) for name in (images.OPERATOR, images.TRAINER)]
    (folder / "images.json").write_text(json.dumps([dataclasses.asdict(image) for image in made], default=str))
    for path in volumes.iterdir():
        shutil.copytree(path, folder / "volumes" / path.name)
    (folder / "volumes/checkpoints").mkdir(exist_ok=True, parents=True)
    return found, made


def run(study: Path, folder: Path, volumes: Path) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    timeline = Timeline()
    try:
        found, made = prepare(folder, volumes, timeline)
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, SOURCE_ROOTS))}
        argv = [sys.executable, "-m", "node.inside", folder, study]
        with machine.borrowed(CGROUP):
            code = machine.run_inside(found.catatonit, argv, environ)
        told = json.loads((folder / "timeline.json").read_text())
    finally:
        tidy(folder)
    timeline.stages += map(tuple, told["stages"])
    timeline.checks, timeline.facts = list(map(tuple, told["checks"])), told["facts"]
    if timeline.facts:  # it came to its end, well or not
        report(timeline, made, study)
    print(f"exit code {code}; logs: {folder / 'logs'}")
    return code


def tidy(folder: Path) -> None:
    """Remove all but the logs."""
    logs = folder / "cluster/logs"
    if logs.exists():
        logs.rename(folder / "logs")
    for path in folder.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m node", description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, nargs="?", default=Path("crds/examples/01-brain-tissue.yaml"))
    parser.add_argument("--dir", type=Path, default=Path(".hpo/node"), help="where the node lives meanwhile: 5 GB")
    parser.add_argument("--volumes", type=Path, default=Path(".hpo/volumes"), help="folder with a folder per claim")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was borrowed is given back
    if os.geteuid() != 0:
        print("error: a kubelet and real containers need root", file=sys.stderr)
        return 1
    try:
        with build_lock(options.dir.resolve()):
            return run(options.study, options.dir.resolve(), options.volumes)
    except (BuildError, NoHelmError, programs.NoProgramsError, images.ImageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
