"""What must be true of a study that has ended, whatever happened to the operator on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from chaos.pods import PodRecord
from chaos.studies import EPOCHS_OF_HYPERBAND, log
from hpo_operator.api.parse import parse_study
from hpo_operator.reconcile.readings import read_trials
from hpo_operator.reconcile.replay import replay

Raw = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """``log``: see ``studies.log``. ``wrong``: sentences, none if all is well."""

    name: str
    kind: str
    wave: int
    parallelism: int
    trials: int
    decisions: int
    pods: int
    most: int
    interruptions: int
    epochs: int
    log: str
    wrong: tuple[str, ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.log.encode()).hexdigest()[:12]


def look(
    study: Raw, trials: Sequence[Raw], pods: PodRecord, checkpoints: Path, kind: str, deleted: Collection[str]
) -> Found:
    """Everything about one study."""
    name, spec = study["metadata"]["name"], study["spec"]
    parsed = parse_study(study)
    with threadpool_limits(limits=1):  # as the operator decides, or the last digits may differ
        again = replay(parsed, [read.trial for read in read_trials(parsed, trials)[0]])
    folders = {t["metadata"]["name"]: checkpoints / study["metadata"]["uid"] / t["metadata"]["name"] for t in trials}
    epochs = {trial: (folder / "epochs").read_text().splitlines() for trial, folder in folders.items()}
    wrong = [
        *_of_the_study(study, trials),
        *(
            sentence
            for trial in trials
            for sentence in _of_a_trial(trial, pods, epochs[trial["metadata"]["name"]], deleted)
        ),
        *([f"{pods.most[name]} Pods at once"] if pods.most[name] > spec["budget"]["parallelism"] else []),
        *([f"replay: {again.difference}"] if again.difference else []),
        *again.notes,
    ]
    total = sum(map(len, epochs.values()))
    if kind == "hyperband" and total != EPOCHS_OF_HYPERBAND:
        wrong.append(f"{total} epochs trained, expected {EPOCHS_OF_HYPERBAND}")
    return Found(
        name,
        kind,
        spec["seed"],
        spec["budget"]["parallelism"],
        len(trials),
        again.decisions,
        sum(found == name for found in pods.studies.values()),
        pods.most[name],
        sum(trial["status"].get("interruptions", 0) for trial in trials),
        total,
        log(study, trials),
        tuple(wrong),
    )


def _of_the_study(study: Raw, trials: Sequence[Raw]) -> Iterator[str]:
    status, budget = study["status"], study["spec"]["budget"]["trials"]
    if (status["phase"], status["reason"], status["progress"]) != (
        "Succeeded",
        "TrialsCompleted",
        f"{budget}/{budget}",
    ):
        yield f"ended as {status['phase']}, {status['reason']}, {status['progress']}"
    indices = sorted(trial["spec"]["index"] for trial in trials)
    if indices != list(range(budget)):
        yield f"expected trials 0 to {budget - 1}, found {indices}"


def _of_a_trial(trial: Raw, pods: PodRecord, epochs: Sequence[str], deleted: Collection[str]) -> Iterator[str]:
    """Nothing lost, nothing doubled, nothing charged, and the curve without a gap.

    A Pod that is deleted before its trial's status names it is made again under its name. One that ends well while it
    is deleted, and is gone before the operator is there again, has a next attempt, which finds nothing left to train.
    """
    name, spec, status = trial["metadata"]["name"], trial["spec"], trial["status"]
    rungs = list(range(spec.get("rung", 0) + 1))
    if [m["rung"] for m in status.get("measurements", [])] != rungs:
        yield f"{name}: measured at {[m['rung'] for m in status.get('measurements', [])]}, expected {rungs}"
    if "failure" in status:
        yield f"{name}: charged with a failure, {status['failure']}"
    succeeded = {rung: [pod for pod in pods.succeeded[name] if f"-r{rung}-a" in pod] for rung in rungs}
    for rung, found in succeeded.items():
        if not found or len([pod for pod in found if pod not in deleted]) > 1:
            yield f"{name}: Pods that succeeded at rung {rung} are {sorted(found)}"
    made = {pod: uids for pod, uids in pods.uids.items() if pod.startswith(f"{name}-r") and pod not in deleted}
    doubled = [pod for pod, uids in made.items() if len(uids) > 1]
    if doubled:
        yield f"{name}: made more than once: {doubled}"
    if [line.split()[0] for line in epochs] != [str(epoch) for epoch in range(1, spec["resource"] + 1)]:
        yield f"{name}: trained epochs {[line.split()[0] for line in epochs]}, expected 1 to {spec['resource']}"
