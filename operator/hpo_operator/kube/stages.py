"""In which order a decision's actions are performed: what does not depend on each other, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpo_operator.manifests.names import TRIAL_LABEL, trial_of_pod
from hpo_operator.reconcile.actions import (
    Action,
    AdoptTrial,
    CreatePod,
    CreateTrial,
    DeletePod,
    PatchTrialSpec,
    PutStudyStatus,
    PutTrialStatus,
    RecordEvent,
)


@dataclass(frozen=True)
class Stages:
    """One after the other: ``known`` and ``steps`` (a list for each trial, in order) and ``after``; once that leaves
    nothing to do, ``news``, and when there is time, ``shown`` (both a list for each trial) and ``status``.
    """

    known: tuple[tuple[Action, ...], ...]
    steps: tuple[tuple[Action, ...], ...]
    after: tuple[Action, ...]
    news: tuple[tuple[Action, ...], ...]
    shown: tuple[tuple[Action, ...], ...]
    status: tuple[Action, ...]

    @property
    def work(self) -> tuple[Action, ...]:
        """What trials wait for."""
        return tuple(action for group in (*self.known, *self.steps, self.after) for action in group)

    @property
    def people(self) -> tuple[Action, ...]:
        """What is only for people to read."""
        return tuple(action for group in (*self.shown, self.status) for action in group)

    @property
    def can_wait(self) -> bool:
        """Whether what people read may be stored a little later."""
        return all(action.can_wait for action in self.status if isinstance(action, PutStudyStatus))


def in_stages(actions: Sequence[Action]) -> Stages:
    """The actions in stages.

    First the evidence of all trials is stored: it is what the steps were decided from (see ``record``). News and what
    is for display are folded anew by each decision, so that of several in a row only the last need be stored. Trials do
    not depend on each other; within a trial the order counts: that it shall stop is stored before its Pod is deleted,
    and an event is told before the status that keeps it from being told again, but after an adoption. What is about no
    trial, such as the deletion of the Pod that cleans, comes next. The study's status, with its events, comes last.
    """
    tail = len(actions)
    while tail and isinstance(actions[tail - 1], PutStudyStatus | RecordEvent):
        tail -= 1
    if tail and isinstance(actions[tail - 1], AdoptTrial) and isinstance([*actions, None][tail], RecordEvent):
        tail += 1  # the event that tells of it
    known: dict[str, list[Action]] = {}
    steps: dict[str, list[Action]] = {}
    news: dict[str, list[Action]] = {}
    shown: dict[str, list[Action]] = {}
    by_haste = {"Evidence": known, "News": news, "Display": shown}
    after: list[Action] = []
    told: list[Action] = []
    for before, action in zip((None, *actions), actions[:tail], strict=False):
        if isinstance(before, AdoptTrial) and isinstance(action, RecordEvent):
            steps[before.name].append(action)
            continue
        told.append(action)
        if not isinstance(action, RecordEvent):
            trial = _trial_of(action)
            by_trial = by_haste[action.haste] if isinstance(action, PutTrialStatus) else steps
            (after if trial is None else by_trial.setdefault(trial, [])).extend(told)
            told = []
    return Stages(_groups(known), _groups(steps), tuple(after), _groups(news), _groups(shown), tuple(actions[tail:]))


def _groups(by_trial: dict[str, list[Action]]) -> tuple[tuple[Action, ...], ...]:
    return tuple(map(tuple, by_trial.values()))


def _trial_of(action: Action) -> str | None:
    """The trial that it is about."""
    match action:
        case CreateTrial(manifest):
            return str(manifest["metadata"]["name"])
        case CreatePod(manifest):
            name = manifest["metadata"]["labels"].get(TRIAL_LABEL)
            return None if name is None else str(name)
        case DeletePod(name):
            return trial_of_pod(name)
        case PatchTrialSpec(name) | AdoptTrial(name) | PutTrialStatus(name):
            return name
        case PutStudyStatus() | RecordEvent():
            return None
