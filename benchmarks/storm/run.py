"""One study and its storm, on a control plane that has the operator and a node."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stand.api import Api, ApiError, connect
from stand.cluster import start_process_node
from stand.control_plane import ControlPlane
from stand.node_object import NodeObject
from stand.studies import Raw, toy_study
from stand.volumes import make_claim
from storm.pods import Lives

STUDY = "storm"
EPOCHS, EPOCH_SECONDS = 20, 0.25
WAYS = ("delete", "force", "evict")
"""``kubectl delete pod``, the same with ``--force``, and the Eviction API, as ``kubectl drain`` calls it."""
NODE = "node"
"""The node and everything on it is killed; it comes back and has lost sight of its Pods."""
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Trial:
    """What came of one trial. ``lost``: epochs that were begun again; ``repeated``: those of them that had ended."""

    name: str
    way: str
    attempts: int
    interruptions: int
    failed: bool
    lost: int
    repeated: int
    gpu_seconds: float
    pod_seconds: float


def storm_study(trials: int, parallelism: int) -> Raw:
    study = toy_study(
        STUDY,
        trials,
        parallelism,
        algorithm={"sampler": {"type": "Random"}},
        fidelity={"resource": "epochs", "min": 1, "max": EPOCHS},
    )
    (container,) = study["spec"]["trainer"]["podTemplate"]["spec"]["containers"]
    container["command"] = ["python", "-m", "stand.epoch_trainer", str(EPOCH_SECONDS), "$(HPO_PARAM_x)"]
    container["resources"] = {"limits": {"nvidia.com/gpu": 1}}
    study["spec"]["trainer"]["checkpoints"] = {"claimName": "checkpoints"}
    return study


async def storm(plane: ControlPlane, namespace: str, folder: Path, trials: int, parallelism: int) -> list[Trial]:
    """Run the study and take the first Pod of each trial away, at a random moment of its life.

    When half of them have begun the node is killed, which takes all Pods that run then.
    """
    async with await connect(plane.kubeconfig) as kube:
        api = Api(kube)
        await make_claim(kube, namespace, "checkpoints", folder)
        lives = Lives(api, namespace, STUDY)
        following = asyncio.create_task(lives.follow())
        studies = f"/apis/hpo.study/v1alpha1/namespaces/{namespace}/hpostudies"
        await api.create(studies, storm_study(trials, parallelism))
        ways: dict[str, str] = {}
        strikes: set[asyncio.Task[None]] = set()
        while "completionTime" not in (await api.get(f"{studies}/{STUDY}")).get("status", {}):
            for pod in lives.running():
                if pod.endswith("-a0") and pod not in ways:
                    ways[pod] = WAYS[len(ways) % len(WAYS)]
                    delay = random.Random(pod).uniform(0, EPOCHS * EPOCH_SECONDS * 0.9)
                    strikes.add(asyncio.create_task(_strike(api, namespace, pod, ways, delay)))
            if len(ways) >= trials / 2 and NODE not in ways.values():
                ways |= dict.fromkeys(lives.running(), NODE)
                plane.processes[NodeObject().name].kill()
                await asyncio.to_thread(start_process_node, plane)
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.gather(*strikes)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        found = await api.get(f"/apis/hpo.study/v1alpha1/namespaces/{namespace}/hpotrials")
    return [_told(trial, ways, lives, folder) for trial in found["items"]]


async def _strike(api: Api, namespace: str, pod: str, ways: Mapping[str, str], delay: float) -> None:
    await asyncio.sleep(delay)
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
    try:
        match ways[pod]:
            case "node":  # gone already
                return
            case "evict":
                eviction = {
                    "apiVersion": "policy/v1beta1",
                    "kind": "Eviction",
                    "metadata": {"name": pod, "namespace": namespace},
                }
                await api.create(f"{path}/eviction", eviction)
            case "force":
                await api.delete(path, {"gracePeriodSeconds": 0})
            case _:
                await api.delete(path)
    except ApiError as error:
        if error.code != 404:
            raise


def _told(trial: Raw, ways: dict[str, str], lives: Lives, folder: Path) -> Trial:
    name, status = trial["metadata"]["name"], trial["status"]
    (diary,) = folder.glob(f"*/{name}/epochs")
    lost, repeated = losses(diary.read_text().split())
    mine = [life for life in lives.pods.values() if life.trial == name]
    return Trial(
        name,
        ways.get(f"{name}-r0-a0", "none"),
        len(mine),
        status.get("interruptions", 0),
        status["phase"] == "Failed",
        lost,
        repeated,
        status["gpuSeconds"],
        sum(life.seconds for life in mine),
    )


def losses(words: Sequence[str]) -> tuple[int, int]:
    """Epochs that were begun again, and those of them that had ended: of a diary's words, begin 1 end 1 ..."""
    begun: Counter[Any] = Counter()
    ended: set[str] = set()
    repeated = 0
    for word, epoch in zip(words[::2], words[1::2], strict=True):
        if word == "end":
            ended.add(epoch)
        else:
            begun[epoch] += 1
            repeated += epoch in ended
    return sum(begun.values()) - len(begun), repeated
