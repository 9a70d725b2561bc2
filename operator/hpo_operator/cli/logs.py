"""``hpo logs``: what the last Pod of a trial has printed, here or on a cluster."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from hpo_operator.api.pod_template import trainer_index
from hpo_operator.api.words import did_you_mean
from hpo_operator.cli.options import INTERRUPTED, STATE, ClusterOption, NamespaceOption, StateOption, sentences
from hpo_operator.manifests.names import TRIAL_LABEL
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.cluster import Space, connected
from hpo_operator.studies.objects import StudyObjects, find_study
from hpo_operator.studies.stored_objects import Source

LOOK_SECONDS = 0.2
OVER = ("Succeeded", "Failed")
GONE = "it has not started, or its Pods were deleted since"


def logs(
    trial: Annotated[str, typer.Argument(help="Name of the trial, such as brain-tissue-14.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the Pod has ended.")] = False,
    state: StateOption = STATE,
    cluster: ClusterOption = False,
    namespace: NamespaceOption = "",
) -> None:
    """What the last Pod of a trial has printed.

    Examples: hpo logs brain-tissue-14; hpo logs brain-tissue-14 --cluster -n research -f
    """
    with sentences():
        try:
            if cluster:
                asyncio.run(_print_of_cluster(namespace, trial, follow))
            else:
                _print_of_folder(find_study(Source(state), trial.rpartition("-")[0]), trial, follow)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


async def _print_of_cluster(namespace: str, trial: str, follow: bool) -> None:
    """Raises Mistake."""
    async with connected(namespace, trial) as space:
        pod = await _pod(space, trial)
        containers = pod["spec"]["containers"]
        query = {"container": containers[trainer_index(containers)]["name"], "follow": str(follow).lower()}
        async for piece in space.server.stream(f"{space.pods(pod['metadata']['name'])}/log", query, None):
            _write(piece)


async def _pod(space: Space, trial: str) -> Any:
    """That the trial's status names; else its newest. Raises Mistake."""
    found = await space.server.request("GET", space.trials(trial))
    named = (found.get("status") or {}).get("pod")
    listed = await space.server.request("GET", space.pods(), query={"labelSelector": f"{TRIAL_LABEL}={trial}"})
    pods = sorted(listed["items"], key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    if not pods:
        raise Mistake(f"{space.namespace}/{trial}: none of its Pods is there: {GONE}")
    return next((pod for pod in pods if pod["metadata"]["name"] == named), pods[-1])


def _print_of_folder(found: StudyObjects, trial: str, follow: bool) -> None:
    """Raises Mistake."""
    log = _log(trial, found)
    assert found.folder is not None  # a stored study has one
    pod = found.folder / "pods" / f"{log.parent.name}.json"
    with log.open("rb") as file:
        while True:
            ended = not follow or _is_over(pod)  # looked at before the file is: what comes after is none of the Pod's
            _write(file.read())
            if ended:
                return
            time.sleep(LOOK_SECONDS)


def _is_over(pod: Path) -> bool:
    try:
        return (json.loads(pod.read_text()).get("status") or {}).get("phase") in OVER
    except FileNotFoundError:  # deleted
        return True


def _write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _log(trial: str, found: StudyObjects) -> Path:
    """Of the Pod that the trial's status names; of one that never got there, of its newest.

    Raises:
        Mistake: no such trial, or no Pod of it has left a log.
    """
    assert found.folder is not None  # a stored study has one
    raw = next((raw for raw in found.trials if raw["metadata"]["name"] == trial), None)
    if raw is None:
        close = did_you_mean(trial, [raw["metadata"]["name"] for raw in found.trials])
        raise Mistake(f"{trial}: no such trial in {found.folder}" + (f"; did you mean {close}?" if close else ""))
    made = [pod for pod in found.pods if (pod["metadata"].get("labels") or {}).get(TRIAL_LABEL) == trial]
    newest = [pod["metadata"]["name"] for pod in reversed(made)]
    for pod in filter(None, [(raw.get("status") or {}).get("pod"), *newest]):
        log = found.folder / "processes" / str(pod) / "log"
        if log.is_file():
            return log
    raise Mistake(f"{trial}: none of its Pods has left a log: {GONE}")
