"""Why a study ends, or stands still: its budget against what its trials have used, and what holds all of them up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hpo_engine.planner import Plan
from hpo_engine.study import Objective
from hpo_engine.trial import Trial, TrialState
from hpo_operator.api.errors import SpecError
from hpo_operator.api.study import Study, seconds
from hpo_operator.api.study_status import BestTrial
from hpo_operator.api.trial import TrialStatus
from hpo_operator.reconcile import clock, study_status
from hpo_operator.reconcile.pod_facts import PodFacts
from hpo_operator.reconcile.study_status import Ending
from hpo_operator.reconcile.trial_state import TrialView


@dataclass(frozen=True)
class Standing:
    """Where a study stands. ``gpus``: that a Pod of it holds; ``best``: the ``incumbent`` in the API's words."""

    study: Study
    objective: Objective
    views: Sequence[TrialView]
    gpus: int
    incumbent: Trial | None
    best: BestTrial | None
    now: datetime

    @property
    def active(self) -> int:
        """How many trials train, or shall."""
        return sum(view.state is TrialState.RUNNING for view in self.views)

    def gpu_hours(self) -> float:
        """Used by ended Pods, and by running ones until now."""
        at = clock.to_text(self.now)
        ended = sum(view.trial.status.gpu_seconds for view in self.views)
        running = sum(clock.seconds_between(pod.started, at) for pod in self._training())
        return (ended + running * self.gpus) / 3600

    def spent_at(self) -> datetime | None:
        """When the GPU-hours of the budget run out, if nothing ends or begins meanwhile; None: never."""
        limit, holding = self.study.spec.budget.gpu_hours, len(self._training()) * self.gpus
        if limit is None or not holding:
            return None
        left = max(0.0, limit - self.gpu_hours()) * 3600 / holding
        # Times of Pods are whole seconds, so the hours are, too: to look a moment early would be to look again at once.
        return self.now + timedelta(seconds=math.floor(left) + 1)

    def _training(self) -> list[PodFacts]:
        return [view.pod for view in self.views if view.is_training and view.pod is not None]

    def deadline(self) -> datetime | None:
        """When the wall clock of the budget runs out; None without a limit, and while the clock stands."""
        limit, status = self.study.spec.budget.wall_clock, self.study.status
        if limit is None or status.start_time is None or self.study.spec.suspend:
            return None
        stood = study_status.suspended_seconds(self.study, self.now)
        return clock.from_text(status.start_time) + timedelta(seconds=seconds(limit) + stood)

    def out_of_budget(self) -> Ending | None:
        """A limit that ends the study whatever the planner would still like."""
        budget = self.study.spec.budget
        failed = sum(view.state is TrialState.FAILED for view in self.views)
        if failed > budget.failure_limit:
            last = max((v for v in self.views if v.trial.status.failure), key=lambda v: v.trial.spec.index).trial
            why = last.status.failure.reason if last.status.failure else ""
            return Ending(
                "TooManyFailures",
                f"{failed} trials failed, more than {budget.failure_limit}; {last.name}: {why}",
                False,
            )
        if budget.gpu_hours is not None and self.gpu_hours() >= budget.gpu_hours:
            return self._spent("GPUHoursExhausted", f"used {self.gpu_hours():.2f} of {budget.gpu_hours:g} GPU-hours")
        if (deadline := self.deadline()) is not None and self.now >= deadline:
            return self._spent("WallClockExhausted", f"{budget.wall_clock} after its start")
        if self.best is not None and self.incumbent is not None and self.objective.reached(self.incumbent.latest.value):
            target = f"the target is {self.objective.target:g}"
            return Ending("TargetReached", f"{self.best.trial} reached {self.best.value:g}, {target}", success=True)
        return None

    def _spent(self, reason: str, message: str) -> Ending:
        if self.best is None:
            return Ending(reason, f"{message}, and no trial was measured", success=False)
        return Ending(reason, message, success=True)

    def ending(self, over: Ending | None, next_steps: Plan) -> Ending | None:
        if over is not None or not next_steps.done:
            return over
        if self.best is None and any(view.trial.status.measurements for view in self.views):
            message = "trials were measured, but none fulfilled all constraints"
            return Ending("NoFeasibleTrial", message, success=False, abrupt=False)
        if self.best is None:
            return Ending("NoMeasurements", "every trial failed", success=False, abrupt=False)
        note = f"; {'; '.join(next_steps.notes)}" if next_steps.notes else ""
        return Ending(
            "TrialsCompleted", f"best {self.best.value:g} by {self.best.trial}{note}", success=True, abrupt=False
        )

    def hold(self, statuses: Sequence[TrialStatus], broken: Sequence[SpecError]) -> Ending | None:
        """Why nothing moves, if nothing does."""
        if broken:
            return Ending("UnreadableTrial", "; ".join(map(str, broken))[:4096], success=False)
        if self.study.spec.budget.parallelism == 0 and self.active == 0 and not self.study.spec.suspend:
            return Ending("NoParallelism", "spec.budget.parallelism is 0: no trial begins until it is raised", False)
        stalled = [
            status
            for view, status in zip(self.views, statuses, strict=True)
            if view.refusal is not None or (view.stalled_at is not None and self.now >= view.stalled_at)
        ]
        if not stalled or len(stalled) < self.active:
            return None
        reason, count = Counter(status.reason for status in stalled).most_common(1)[0]
        message = next(status.message for status in stalled if status.reason == reason)
        return Ending(reason, message if len(stalled) == 1 else f"{count} of {self.active} trials: {message}", False)
