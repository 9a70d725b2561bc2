"""What of ended trials is deleted: checkpoints by one cleaning Pod at a time, and Pods that have told all they know.

A checkpoint is needed while its trial may go on: before its end, and at a rung until the study has ended. A Pod is
needed until the trial's stored status holds what it said.

cleaning Pod      what follows
---------------   ------------------------------------------------------------------------------------------------
none              created, when enough checkpoints can go or the study has ended
not ended yet     none of its trials gets a Pod, should a larger budget promote one meanwhile
SUCCEEDED         its trials are marked, then it is deleted
INTERRUPTED       deleted a while after its creation, so that the next one is created
FAILED            stays with its log until somebody deletes it: what is wrong with the volume, a Pod cannot mend
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hpo_engine.trial import TrialState
from hpo_operator.api.retention import Retention
from hpo_operator.api.study import Study
from hpo_operator.api.trial import HpoTrial, TrialStatus
from hpo_operator.manifests import names
from hpo_operator.manifests.cleaner import cleaned_trials, cleaner_manifest
from hpo_operator.manifests.pod import PodSettings
from hpo_operator.reconcile import clock
from hpo_operator.reconcile.actions import Action, CreatePod, DeletePod, RecordEvent
from hpo_operator.reconcile.pod_facts import ENDED, PodFacts, PodState, read_pod
from hpo_operator.reconcile.snapshot import Raw, Snapshot
from hpo_operator.reconcile.trial_state import TrialView
from hpo_operator.reconcile.trial_status import is_promotable

BATCH = 10
"""While a study runs, so many checkpoints go at once: a Pod for each would cost more than it frees."""
MOST_NAMES = 500
"""Trials of one cleaning Pod, whose arguments are bounded."""
MOST_PODS = 100
"""Pods deleted in one decision."""
AGAIN_SECONDS, LOOK_SECONDS = 60, 600
"""When an interrupted cleaning Pod is replaced, and when an ended study looks after one of which it hears nothing."""
BEST = 10
"""Trials whose Pods are kept as the best, where the study does not say how many checkpoints: as ``hpo finalize``."""


@dataclass(frozen=True)
class Cleaner:
    """The study's cleaning Pod, as it stands; ``trials``: names of those that it cleans."""

    facts: PodFacts
    trials: frozenset[str]
    created: datetime
    deleting: bool

    @classmethod
    def of(cls, study: Study, snapshot: Snapshot, now: datetime) -> Cleaner | None:
        name = names.cleaner_name(study.name)
        pod = next((pod for pod in snapshot.pods if pod["metadata"]["name"] == name), None)
        if pod is None:
            return None
        created = pod["metadata"].get("creationTimestamp")
        return cls(
            read_pod(pod),
            cleaned_trials(pod),
            clock.from_text(created) if created else now,
            "deletionTimestamp" in pod["metadata"],
        )

    @property
    def holds(self) -> frozenset[str]:
        """Trials that may not begin to write again yet."""
        return frozenset() if self.facts.state is PodState.FAILED else self.trials

    @property
    def trouble(self) -> str:
        """What keeps checkpoints from being deleted, in a sentence; empty: nothing."""
        if self.facts.state is not PodState.FAILED:
            return ""
        why = self.facts.final_message.strip() or self.facts.message or self.facts.reason
        return f"{self.told}: {why}; delete the Pod {self.facts.name} to have it tried again"[:1000]

    @property
    def told(self) -> str:
        some = ", ".join(sorted(self.trials)[:10]) + (", ..." if len(self.trials) > 10 else "")
        return f"checkpoints of {len(self.trials)} trials ({some})"


def with_checkpoints(
    statuses: Sequence[TrialStatus], views: Sequence[TrialView], cleaner: Cleaner | None
) -> list[TrialStatus]:
    """The statuses, each with whether its checkpoint was deleted; a trial that runs again writes a new one."""
    cleaned = cleaner.trials if cleaner is not None and cleaner.facts.state is PodState.SUCCEEDED else frozenset()
    marked = []
    for status, view in zip(statuses, views, strict=True):
        gone = status.checkpoint_deleted or view.trial.name in cleaned
        deleted = gone and view.state is not TrialState.RUNNING
        same = status.checkpoint_deleted == deleted
        marked.append(status if same else status.model_copy(update={"checkpoint_deleted": deleted}))
    return marked


def cleaning(
    study: Study,
    views: Sequence[TrialView],
    best: Collection[str],
    cleaner: Cleaner | None,
    snapshot: Snapshot,
    facts: Mapping[str, PodFacts],
    ended: bool,
    settings: PodSettings,
    now: datetime,
) -> Iterator[Action]:
    """What to do about checkpoints. ``best``: names of the trials that keep theirs; ``ended``: the study has.

    ``facts``: of the snapshot's Pods, by name.
    """
    if cleaner is not None:
        yield from _after(cleaner, now)
        return
    wanted = study.spec.retention.best_checkpoints is not None and study.spec.trainer.checkpoints is not None
    if not wanted or study.spec.suspend or names.cleaner_name(study.name) in snapshot.refusals:
        return
    alive = {
        pod["metadata"].get("labels", {}).get(names.TRIAL_LABEL)
        for pod in snapshot.pods
        if facts[pod["metadata"]["name"]].state not in ENDED
    }
    spare = [
        view.trial.name
        for view in views
        if _is_done(view, study, ended)
        and not view.trial.status.checkpoint_deleted
        and view.trial.name not in best
        and view.trial.name not in alive
    ]
    if len(spare) >= (1 if ended else BATCH):
        yield CreatePod(cleaner_manifest(study, spare[:MOST_NAMES], settings))


def _after(cleaner: Cleaner, now: datetime) -> Iterator[Action]:
    if cleaner.deleting:
        return
    match cleaner.facts.state:
        case PodState.SUCCEEDED:
            yield RecordEvent("Normal", "CheckpointsDeleted", cleaner.told)
            yield DeletePod(cleaner.facts.name)
        case PodState.INTERRUPTED if now >= cleaner.created + timedelta(seconds=AGAIN_SECONDS):
            yield DeletePod(cleaner.facts.name)


def _is_done(view: TrialView, study: Study, ended: bool) -> bool:
    """Whether nothing will go on from the trial's checkpoint, unless the budget is raised after the study's end."""
    match view.state:
        case TrialState.RUNNING:
            return False
        case TrialState.REPORTED:
            return ended or not is_promotable(view.trial, study.spec)
        case TrialState.FAILED | TrialState.STOPPED:
            return True


def surplus_pods(
    retention: Retention,
    stored: Mapping[str, HpoTrial],
    pods: Sequence[Raw],
    facts: Mapping[str, PodFacts],
    best: Collection[str],
) -> Iterator[Action]:
    """Ended Pods beyond those that are kept, the oldest first.

    ``stored``: the trials by name, as the API server holds them; ``best``: names of trials whose last Pods stay.
    """
    spent = [pod for pod in pods if _is_spent(pod, facts, stored, best)]
    for failed, most in ((True, retention.failed_pods), (False, retention.finished_pods)):
        these = [pod for pod in spent if (facts[pod["metadata"]["name"]].state is PodState.FAILED) is failed]
        oldest_first = sorted(these, key=lambda pod: _age(pod, facts))
        for pod in oldest_first[: max(0, len(these) - most)][:MOST_PODS]:
            yield DeletePod(pod["metadata"]["name"])


def _is_spent(pod: Raw, facts: Mapping[str, PodFacts], stored: Mapping[str, HpoTrial], best: Collection[str]) -> bool:
    """Whether the Pod has ended and its trial's stored status has what it said."""
    meta = pod["metadata"]
    trial = stored.get((meta.get("labels") or {}).get(names.TRIAL_LABEL, ""))
    if trial is None or facts[meta["name"]].state not in ENDED or "deletionTimestamp" in meta:
        return False
    if meta["name"] != names.pod_name(trial.name, trial.spec.rung, trial.status.attempt):
        return True  # an earlier rung's or attempt's
    if trial.name in best:
        return False
    return trial.status.failure is not None or any(m.rung == trial.spec.rung for m in trial.status.measurements)


def _age(pod: Raw, facts: Mapping[str, PodFacts]) -> tuple[str, int, str]:
    name = pod["metadata"]["name"]
    return facts[name].finished or pod["metadata"].get("creationTimestamp") or "", len(name), name


def look_again(cleaner: Cleaner | None, refused: bool, now: datetime) -> datetime | None:
    """When to look at the cleaning again, even if nothing happens. ``refused``: one was asked for in vain."""
    if cleaner is None:
        return now + timedelta(seconds=AGAIN_SECONDS) if refused else None
    match cleaner.facts.state:
        case PodState.FAILED:
            return None
        case PodState.INTERRUPTED:
            return cleaner.created + timedelta(seconds=AGAIN_SECONDS)
        case _:
            return now + timedelta(seconds=LOOK_SECONDS)
