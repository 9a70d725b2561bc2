"""``python -m node.inside DIR STUDY``: the node and the journey, in namespaces that ``python -m node`` has made."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from node import machine, programs
from node.images import Image, ImageError
from node.journey import Journey
from node.real_node import ADDRESS, RealNode
from node.timeline import Timeline
from stand import helm
from stand.build import ensure
from stand.control_plane import ControlPlane, ControlPlaneError
from stand.daemons import DaemonError
from stand.helm import HelmError

CGROUP = "hpo-node"


def main(folder: Path, study: Path) -> int:
    timeline = Timeline()
    told = json.loads((folder / "images.json").read_text())
    images = [Image(each["name"], Path(each["archive"]), each["size"], each["pulled"]) for each in told]
    machine.make_private(folder / "private")
    machine.make_network(ADDRESS)
    plane = ControlPlane(folder / "cluster", ensure(os.environ), ADDRESS)
    try:
        with ExitStack() as running:
            with timeline.stage("etcd, API server, controller manager, scheduler"):
                running.enter_context(plane)
            _travel(plane, folder, study, images, timeline)
    except (ControlPlaneError, DaemonError, ImageError, HelmError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        (folder / "timeline.json").write_text(json.dumps(dataclasses.asdict(timeline)))
    return 0 if timeline.good else 1


def _travel(plane: ControlPlane, folder: Path, study: Path, images: list[Image], timeline: Timeline) -> None:
    node = RealNode(plane, ensure(os.environ), programs.ensure(os.environ), CGROUP)
    journey = Journey(plane, node, helm.Helm(helm.ensure(os.environ), folder, plane.kubeconfig), study, timeline)
    with timeline.stage("containerd, with the images"):
        node.start_containerd()
        for image in images:
            node.load(image)
    with timeline.stage("kubelet and kube-proxy, until the node is ready"):
        node.start()
    with timeline.stage("helm install, until the operator is ready"):
        journey.install()
    with timeline.stage("kubectl apply, until a trial trains"):
        journey.apply(_volumes(folder))
    with timeline.stage("a look into a trial's container"):
        journey.look_inside()
    with timeline.stage("a trial's Pod deleted, until it has resumed"):
        journey.take_a_trial()
    with timeline.stage("the operator's Pod deleted, until the study goes on"):
        journey.take_the_operator()
    with timeline.stage("until the study has ended"):
        journey.finish()
    with timeline.stage("a look at what came of it"):
        journey.judge()
    with timeline.stage("hpo finalize --cluster, until the model is here"):
        journey.finalize(folder / "final")
    with timeline.stage("kubectl delete, helm uninstall"):
        journey.remove()


def _volumes(folder: Path) -> Mapping[str, Path]:
    return {path.name: path for path in sorted((folder / "volumes").iterdir())}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
