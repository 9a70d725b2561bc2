"""``decide``: one snapshot in, actions out. Pure, and the same for the operator and for ``hpo run``.

It is called after every event, and again after every performed action, until it asks for nothing more. Whatever
happened before — a crash, a lost event, a Pod deleted by hand — it only ever looks at what is there now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from hpo_engine.fidelity import watched_levels
from hpo_engine.incumbent import incumbent, ranked
from hpo_engine.memory import Memory
from hpo_engine.planner import Plan, Promotion, plan
from hpo_engine.trial import Trial, TrialState
from hpo_operator.api import engine_study
from hpo_operator.api.errors import InvalidObject, SpecError
from hpo_operator.api.parse import parse_study_status
from hpo_operator.api.study import Study
from hpo_operator.api.trial import HpoTrial, Step, TrialStatus
from hpo_operator.manifests import names
from hpo_operator.manifests.pod import PodSettings, pod_manifest
from hpo_operator.manifests.trial import trial_manifest
from hpo_operator.reconcile import events, manual_trials, retention, study_status
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
from hpo_operator.reconcile.endings import Standing
from hpo_operator.reconcile.places import placed
from hpo_operator.reconcile.pod_facts import PodFacts, PodState, gpu_count, read_departed_pod, read_pod
from hpo_operator.reconcile.queries import Question
from hpo_operator.reconcile.readings import TrialReading, read_each, read_study, read_trials
from hpo_operator.reconcile.record import recorded
from hpo_operator.reconcile.snapshot import Snapshot
from hpo_operator.reconcile.study_status import Ending
from hpo_operator.reconcile.trial_state import TrialView, view_trial
from hpo_operator.reconcile.trial_status import haste_of


@dataclass(frozen=True)
class Decision:
    """``wake_at``: decide again then, even if nothing happens. ``training``: Pods that may have news on /metrics.

    ``questions``: what Prometheus servers are to be asked now.
    """

    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None
    training: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()


def decide(snapshot: Snapshot, settings: PodSettings, now: datetime, memory: Memory | None = None) -> Decision:
    """What to do about one study, now. ``memory``: of its earlier decisions; it saves time and changes nothing."""
    try:
        study = read_study(snapshot.study, memory)
    except InvalidObject as error:
        return _refuse(snapshot, "InvalidSpec", error.errors, now)
    changed = study_status.changed_sections(study)
    if changed:
        errors = [
            SpecError(f"spec.{name}", "may not change once trials exist; change it back, or create a new study")
            for name in changed
        ]
        return _refuse(snapshot, "ImmutableFieldChanged", errors, now)
    readings, broken = read_trials(study, snapshot.trials, memory)
    facts = read_each(memory, "read pods", None, snapshot.pods, read_pod)
    return _Deciding(study, snapshot, settings, now, readings, broken, facts, memory).decision()


def _refuse(snapshot: Snapshot, reason: str, errors: Sequence[SpecError], now: datetime) -> Decision:
    old = parse_study_status(snapshot.study)
    generation = snapshot.study.get("metadata", {}).get("generation", 0)
    new = study_status.refused_status(old, generation, reason, errors, now)
    if new == old:
        return Decision()
    return Decision((RecordEvent("Warning", reason, new.message), PutStudyStatus(new)))


class _Deciding:
    """One decision: the values that its steps share, each computed once."""

    def __init__(
        self,
        study: Study,
        snapshot: Snapshot,
        settings: PodSettings,
        now: datetime,
        readings: list[TrialReading],
        broken: list[SpecError],
        facts: list[PodFacts],
        memory: Memory | None,
    ) -> None:
        self.study, self.settings, self.now, self.broken, self.memory = study, settings, now, broken, memory
        template = study.spec.trainer.pod_template
        limits = study.spec.trainer.resources.dump()
        self.gpus = gpu_count(template["spec"] if template else {"containers": [{"resources": limits}]})
        self.snapshot = snapshot
        self.pods = {pod.name: pod for pod in facts}
        known = {pod.name: pod for pod in map(read_departed_pod, snapshot.departed)} | self.pods
        self.cleaner = retention.Cleaner.of(study, snapshot, now)
        self.engine_study = engine_study.engine_study(study.spec)
        levels = watched_levels(self.engine_study)
        self.strays = [manual_trials.Stray.of(raw, study, self.engine_study) for raw in snapshot.strays]
        trials = [read.trial for read in readings]
        self.number = max((read.least for read in readings), default=1)

        def view(reading: TrialReading) -> TrialView:
            return self._recorded(view_trial(reading.trial, study.spec, known, snapshot, self.gpus, now, levels))

        self.places = placed(readings, known, bool(levels), memory, view)
        self.views = [place.view for place in self.places]
        self.stored = {trial.name: trial for trial in trials}
        self.before = {trial.name: trial.status for trial in trials}
        self.texts = {trial.spec.index: trial.spec.parameters for trial in trials}
        self.held = manual_trials.held_indices(self.strays, study, self.texts, snapshot.refusals)
        self.history: list[Trial] = [place.trial for place in self.places]
        best = incumbent(self.engine_study, self.history)
        self.best = study_status.best_trial(study, best, self.texts)
        self.standing = Standing(study, self.engine_study.objective, self.views, self.gpus, best, self.best, now)
        self.active = self.standing.active

    def decision(self) -> Decision:
        over = self.standing.out_of_budget()
        suspended = self.study.spec.suspend
        adoptions = list(self._adoptions(over))
        adopts = any(isinstance(action, AdoptTrial) for action in adoptions)
        next_steps = Plan() if over or self.broken or suspended or adopts else self._plan()
        ending = self.standing.ending(over, next_steps)
        ended = ending is not None and self.active == 0
        stops = self._stops(next_steps, ending)
        statuses = retention.with_checkpoints(
            [place.status(self.study.spec, ended, self.now) for place in self.places], self.views, self.cleaner
        )
        hold = None if ended else self.standing.hold(statuses, self.broken)
        actions = [
            *self._trial_statuses(statuses),
            *adoptions,
            *self._suspensions(suspended, stops),
            *self._planned(next_steps, stops),
            *self._pods(stops),
            *self._retained(ended),
            *self._study_status(statuses, ending if ended else None, hold),
        ]
        return Decision(
            tuple(actions),
            self._wake_at(),
            tuple(v.pod.name for v in self.views if v.is_training and v.pod),
            tuple(v.question for v in self.views if v.question and v.asked_from and v.asked_from <= self.now),
        )

    def _recorded(self, view: TrialView) -> TrialView:
        trial = recorded(view.trial, view.state is TrialState.STOPPED, self.number)
        return view if trial is view.trial else replace(view, trial=trial)

    def _plan(self) -> Plan:
        held = map(manual_trials.held_place, self.held)
        return plan(self.engine_study, [*self.history, *held], self._slots(), self.memory)

    def _adoptions(self, over: Ending | None) -> Iterator[Action]:
        """Trials that users made come before those that are planned: while one is adopted nothing is."""
        why_not = f"its study has ended: {over.message}" if over is not None else ""
        if self.study.spec.suspend:
            why_not = "its study is suspended"
        if self.broken:
            why_not = "its study waits for a trial that cannot be read"
        yield from manual_trials.adoptions(
            self.strays, self.study, self.engine_study, self._slots(), why_not, self.snapshot.refusals, self.now
        )

    def _slots(self) -> int:
        return max(0, self.study.spec.budget.parallelism - self.active)

    def _trial_statuses(self, statuses: Sequence[TrialStatus]) -> Iterator[Action]:
        for view, status in zip(self.views, statuses, strict=True):
            trial = view.trial
            before = self.before[trial.name]
            if status is before:  # as nearly all are
                continue
            yield from events.of_trial(view, before, status)
            haste = haste_of(before, status)
            begins = haste == "Display" and status.reason == "PodNotSeen" and not before.reason  # not worth a write
            if status != before and not begins:
                yield PutTrialStatus(trial.name, status, haste)

    def _stops(self, next_steps: Plan, ending: Ending | None) -> set[int]:
        """Trials that run and shall not any more."""
        running = {view.trial.spec.index for view in self.views if view.state is TrialState.RUNNING}
        return running if ending is not None and ending.abrupt else running & set(next_steps.stop)

    def _planned(self, next_steps: Plan, stops: set[int]) -> Iterator[Action]:
        for view in self.views:
            if view.trial.spec.index in stops and view.trial.spec.desired_state != "Stopped":
                yield self._stop(view.trial, planned=view.trial.spec.index in next_steps.stop)
        trials = {view.trial.spec.index: view.trial for view in self.views}
        for promotion in next_steps.promote:
            yield self._promote(trials[promotion.index], promotion)
        for suggestion in next_steps.start:
            step = self._step("Start", 0, suggestion.resource)
            yield CreateTrial(trial_manifest(self.study, suggestion, step))

    def _stop(self, trial: HpoTrial, planned: bool) -> Action:
        """``planned``: by the planner, and not since the study ends."""
        step = self._step("Stop", trial.spec.rung, trial.spec.resource)
        noted = {"steps": _with_step(trial, step)} if planned else {}
        return PatchTrialSpec(trial.name, {"desiredState": "Stopped"} | noted)

    def _promote(self, trial: HpoTrial, promotion: Promotion) -> Action:
        step = self._step("Promote", promotion.rung, promotion.resource)
        changes = {"rung": promotion.rung, "resource": promotion.resource}
        return PatchTrialSpec(trial.name, changes | {"steps": _with_step(trial, step)})

    def _step(self, kind: Literal["Start", "Promote", "Stop"], rung: int, resource: int) -> Step:
        """A step of this decision, with all that it depends on besides the trials."""
        return Step(
            decision=self.number,
            kind=kind,
            rung=rung,
            resource=resource,
            slots=self._slots(),
            trials=self.study.spec.budget.trials,
            held=self.held or None,
        )

    def _suspensions(self, suspended: bool, stops: set[int]) -> Iterator[Action]:
        """What shall train is told to let go of its Pod; told to go on only when that Pod is gone.

        So the end of that Pod is never taken for an interruption by the cluster, however quickly a user changes sides.
        """
        for view in self.views:
            if view.state is not TrialState.RUNNING or view.trial.spec.index in stops:
                continue
            if suspended and view.trial.spec.desired_state == "Measured":
                yield PatchTrialSpec(view.trial.name, {"desiredState": "Suspended"})
            if not suspended and view.trial.spec.desired_state == "Suspended" and view.pod is None:
                yield PatchTrialSpec(view.trial.name, {"desiredState": "Measured"})

    def _pods(self, stops: set[int]) -> Iterator[Action]:
        for view in self.views:
            unwanted = view.trial.spec.desired_state != "Measured" or view.trial.spec.index in stops
            letting_go = unwanted or (self.study.spec.suspend and view.state is TrialState.RUNNING)
            if letting_go and view.pod is not None and view.pod.state in (PodState.WAITING, PodState.RUNNING):
                yield DeletePod(view.pod.name)
            held = self.cleaner is not None and view.trial.name in self.cleaner.holds
            free = not letting_go and not held and view.refusal is None
            if free and view.pod_due is not None and view.pod_due <= self.now:
                yield CreatePod(pod_manifest(self.study, view.trial, self.settings))

    def _retained(self, ended: bool) -> Iterator[Action]:
        """What of ended trials can go."""
        kept = self.study.spec.retention
        idle = kept.best_checkpoints is None and self.cleaner is None
        if idle and len(self.pods) <= min(kept.finished_pods, kept.failed_pods):
            return
        order, _ = ranked(self.engine_study, self.history)
        most = kept.best_checkpoints or retention.BEST
        best = {names.trial_name(self.study.name, trial.index) for trial in order[:most]}
        yield from retention.cleaning(
            self.study, self.views, best, self.cleaner, self.snapshot, self.pods, ended, self.settings, self.now
        )
        yield from retention.surplus_pods(kept, self.stored, self.snapshot.pods, self.pods, best)

    def _study_status(
        self, statuses: Sequence[TrialStatus], ending: Ending | None, hold: Ending | None
    ) -> Iterator[Action]:
        study, old = self.study, self.study.status
        new = study_status.folded_status(study, statuses, self.best, ending, hold, self.standing.gpu_hours(), self.now)
        new = new.model_copy(update={"cleaning": self.cleaner.trouble if self.cleaner is not None else ""})
        yield from events.of_study(study, new, ending, hold)
        if new != old and not study_status.is_gpu_time_alone(old, new):
            yield PutStudyStatus(new, can_wait=study_status.can_wait(old, new))

    def _wake_at(self) -> datetime | None:
        due = [at for view in self.views for at in (view.pod_due, view.stalled_at, view.asked_from) if at is not None]
        times = [at for at in due if at > self.now]
        if self.active:
            times += [at for at in (self.standing.deadline(), self.standing.spent_at()) if at and at > self.now]
        refused = names.cleaner_name(self.study.name) in self.snapshot.refusals
        if (again := retention.look_again(self.cleaner, refused, self.now)) is not None:
            times.append(again)
        return min(times, default=None)


def _with_step(trial: HpoTrial, step: Step) -> list[dict[str, Any]]:
    """A patch replaces lists as a whole."""
    return [each.dump() for each in (*trial.spec.steps, step)]
