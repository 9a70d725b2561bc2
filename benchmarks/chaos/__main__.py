"""``make chaos``: a real API server, Pods as processes, and an operator that is killed a hundred times."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pages

from chaos.checks import Found, look
from chaos.pods import PodRecord
from chaos.storm import Storm
from chaos.studies import CLAIM, KINDS, Raw, made
from stand.build import ensure
from stand.cluster import THREADS, start_process_node
from stand.control_plane import ControlPlane
from stand.operator_process import OperatorProcess, install
from stand.proxy import Proxy
from stand.studies import Studies

NAMESPACE = "default"
RESULTS = Path(__file__).resolve().parents[1] / "results" / "operator"
PARALLELISM = (1, 4)
END_SECONDS = 900


@dataclass(frozen=True)
class Site:
    """Where it happens."""

    plane: ControlPlane
    operator: OperatorProcess
    proxy: Proxy
    pods: PodRecord
    studies: Studies
    checkpoints: Path


@contextmanager
def built(folder: Path) -> Iterator[Site]:
    """A control plane, a node, and an operator behind a proxy."""
    checkpoints = folder / CLAIM
    checkpoints.mkdir()
    with ControlPlane(folder / "plane", ensure(os.environ)) as plane, Proxy(plane.port) as proxy:
        start_process_node(plane)
        install(plane)
        studies = Studies(plane, NAMESPACE, folder)
        studies.claim(CLAIM, checkpoints)
        pods = PodRecord(plane.kubeconfig, NAMESPACE)
        pods.start()
        operator = OperatorProcess(plane, 0.5, server=f"https://127.0.0.1:{proxy.port}")
        operator.start()
        yield Site(plane, operator, proxy, pods, studies, checkpoints)


def disturbed(site: Site, storm: Storm, kills: int) -> list[tuple[str, Raw]]:
    """Studies of all kinds, in waves, until the operator was killed ``kills`` times and all have ended."""
    applied: list[tuple[str, Raw]] = []
    wave = 0
    while storm.counts["kills"] < kills:
        if not applied or _have_ended(site, applied):
            wave += 1
            for kind in KINDS:
                for parallelism in PARALLELISM:
                    study = made(kind, wave, parallelism, f"{kind}-w{wave}-p{parallelism}")
                    site.studies.apply(study)
                    applied.append((kind, study))
        storm.strike()
    storm.until(lambda: _have_ended(site, applied), END_SECONDS)
    return applied


def undisturbed(site: Site, applied: Sequence[tuple[str, Raw]]) -> list[tuple[str, Raw]]:
    """The same studies of parallelism 1 under an operator that nothing happens to."""
    again = []
    for kind, study in applied:
        if study["spec"]["budget"]["parallelism"] == 1:
            wave = study["spec"]["seed"]
            again.append((kind, made(kind, wave, 1, f"{kind}-w{wave}-calm")))
            site.studies.apply(again[-1][1])
    Storm.until(lambda: _have_ended(site, again), END_SECONDS)
    return again


def _have_ended(site: Site, applied: Sequence[tuple[str, Raw]]) -> bool:
    stored = {study["metadata"]["name"]: study.get("status", {}) for study in site.studies.all("hpostudies")}
    return all(stored[study["metadata"]["name"]].get("completionTime") for _, study in applied)


def looked_at(site: Site, applied: Sequence[tuple[str, Raw]], deleted: Collection[str]) -> list[Found]:
    found = []
    for kind, applied_study in applied:
        name = applied_study["metadata"]["name"]
        study, trials = site.studies.get("hpostudies", name), site.studies.all("hpotrials", name)
        found.append(look(study, trials, site.pods, site.checkpoints, kind, deleted))
    return found


def differences(found: Sequence[Found], calm: Sequence[Found]) -> list[str]:
    """Sentences about studies of parallelism 1 that are not the same, byte for byte, as without any disturbance."""
    expected = {(each.kind, each.wave): each.log for each in calm}
    return [
        f"{each.name}: not the undisturbed study's log"
        for each in found
        if each.parallelism == 1 and each.log != expected[each.kind, each.wave]
    ]


COLUMNS = {
    "study": "name",
    "parallelism": "parallelism",
    "trials": "trials",
    "decisions": "decisions",
    "Pods": "pods",
    "most at once": "most",
    "interruptions": "interruptions",
    "epochs": "epochs",
    "log": "digest",
}
CHECKED = """\
Checked of each study: it ended well; trials 0 to n - 1 are there, measured once at each rung; each rung has one Pod
that succeeded, and none was made twice but for deleted ones; no trial is charged with a failure; never more Pods than
parallelism; every epoch was trained once, and continues the last; all its decisions made again are as stored. `log` is
the fingerprint of incumbent, trials and decisions: at parallelism 1 it must be that of the same study undisturbed
(calm). Hyperband with R = 27 and η = 3 must train 357 epochs."""


def report(site: Site, storm: Storm, found: Sequence[Found], calm: Sequence[Found], seconds: float, seed: int) -> int:
    """Writes the page; the number of things that are wrong."""
    wrong = [f"{each.name}: {sentence}" for each in (*found, *calm) for sentence in each.wrong]
    wrong += differences(found, calm)
    interruptions = sum(each.interruptions for each in found)
    if interruptions > storm.counts["deleted Pods"]:
        wrong.append(f"{interruptions} interruptions, more than Pods were deleted")
    studies = [{name: getattr(each, name) for name in COLUMNS.values()} for each in (*found, *calm)]
    counts = ", ".join(f"{number} {what}" for what, number in sorted(storm.counts.items()))
    command = pages.command("operator:trainer-image:tests:benchmarks", "chaos")
    made_by = (
        f"`{command}` (`make chaos`), {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processor cores, "
        f"Kubernetes 1.{site.plane.minor_version}, {seconds / 60:.1f} minutes, seed {seed}."
    )
    parts = [
        f"Done to the operator: {counts}; it ended by itself {storm.own_exits} times. Pods changed {site.pods.changes} "
        f"times, and the number alive was counted after each change; {site.pods.lists} times, when the API server "
        "began, from a list.",
        CHECKED,
        pages.table(list(COLUMNS), [list(study.values()) for study in studies]),
        "Wrong: " + ("nothing." if not wrong else "; ".join(wrong)),
    ]
    done = {"done": dict(storm.counts), "own exits": storm.own_exits, "seconds": seconds}
    title = f"The operator killed {storm.counts['kills']} times"
    pages.write(RESULTS, "chaos", title, made_by, parts, done | {"wrong": wrong, "studies": studies})
    return len(wrong)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder that keeps all logs and checkpoints")
    options = parser.parse_args()
    os.environ |= THREADS
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with built(folder) as site:
            storm = Storm(site.plane, site.operator, site.proxy, site.pods, NAMESPACE, options.seed)
            applied = disturbed(site, storm, options.kills)
            calm = undisturbed(site, applied)
            found = looked_at(site, applied, storm.deleted), looked_at(site, calm, ())
            return 1 if report(site, storm, *found, time.monotonic() - began, options.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
