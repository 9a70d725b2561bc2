"""The page of a journey."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pages import command, table, write

from node.images import ROOT, Image
from node.timeline import Timeline
from stand.build import KUBERNETES_VERSION

RESULTS = ROOT / "benchmarks/results/operator"
MB = 1e6


def report(timeline: Timeline, images: list[Image], study: Path) -> None:
    """``e2e-node.md`` and ``e2e-node.json``."""
    raw = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}",
        "study": str(study),
        "stages": [{"stage": name, "seconds": round(seconds, 1)} for name, seconds in timeline.stages],
        "checks": [{"check": what, "found": found, "good": good} for what, found, good in timeline.checks],
        "images": {image.name: image.size for image in images},
        **timeline.facts,
    }
    made = f"{raw['date']}, {raw['hardware']}, Kubernetes {KUBERNETES_VERSION}, Debian's containerd and runc. "
    made += "`make e2e-node`: "
    made += f"`{command('operator:tests:benchmarks', 'node')}`"
    write(RESULTS, "e2e-node", "A study in real containers", made, _parts(timeline, images, study), raw)


def _parts(timeline: Timeline, images: list[Image], study: Path) -> list[str]:
    text = (
        f"`{study}`, with half a core requested for each trial in place of one, so that two and the operator fit on "
        "this node. A real kubelet, kube-proxy, scheduler and controller manager; the chart installed by Helm, the "
        "operator in its own Pod under its service account, every trial in a container of the trainer's image, its "
        "volumes local PersistentVolumes, which the kubelet gives to the Pods' group. On the way a trial's Pod and "
        "the operator's Pod are deleted; at the end the final model is made beside the checkpoints, and fetched."
    )
    stages = [(name, f"{seconds:.1f} s") for name, seconds in timeline.stages]
    stages.append(("all", f"{sum(seconds for _, seconds in timeline.stages):.1f} s"))
    checks = "\n".join(
        ["| checked | found | |", "| --- | --- | --- |"]
        + [
            f"| {what} | {found} | {'as it should be' if good else '**wrong**'} |"
            for what, found, good in timeline.checks
        ]
    )
    sizes = [(image.name, f"{image.pulled / MB:.1f} MB", f"{image.size / MB:.1f} MB") for image in images]
    return [
        text,
        table(("stage", "time"), stages),
        checks,
        *_facts(timeline.facts),
        table(("image", "from a registry, by gzip", "unpacked"), sizes),
    ]


def _facts(facts: dict[str, Any]) -> list[str]:
    starts = facts["podStartSeconds"]
    return [
        f"{facts['pods']} Pods of trials. From a Pod's creation to its container's start: {starts['median']:.0f} s "
        f"(median), {starts['longest']:.0f} s (longest), in whole seconds. The operator's container: "
        f"{facts['operatorPeakBytes'] / MB:.0f} MB of resident memory at most (VmHWM), "
        f"{facts['operatorWorkingSetBytes'] / MB:.0f} MB working set at the end, as the kubelet says. Load of the "
        f"machine at the end, whatever else ran on it counted in: {facts['load']:.1f} (mean of 15 minutes)."
    ]
