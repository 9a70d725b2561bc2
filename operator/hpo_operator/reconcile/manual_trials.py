"""Trials that users make: an HPOTrial that names a study, belongs to nobody, and has a number that nobody uses.

Its name is the lock as everywhere: whoever creates ``<study>-<i>`` first, the operator or a user, has made trial i.
What can be used is adopted (owner and labels; the scheduler's first resource) as soon as a place is free, and is from
then on a trial like any other. What cannot be is told so in its status, and judged again whenever the study is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hpo_engine.errors import StudyError
from hpo_engine.fidelity import build_scheduler
from hpo_engine.study import Study as EngineStudy
from hpo_engine.trial import Trial, TrialState
from hpo_operator.api import engine_study
from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_trial, parse_trial_status
from hpo_operator.api.study import Study
from hpo_operator.api.trial import HpoTrial, TrialStatus
from hpo_operator.api.words import show
from hpo_operator.manifests import names
from hpo_operator.reconcile import clock
from hpo_operator.reconcile.actions import Action, AdoptTrial, PutTrialStatus, RecordEvent
from hpo_operator.reconcile.conditions import condition
from hpo_operator.reconcile.snapshot import Raw

REFUSED = "Refused"


def owned_and_strays(study: Raw, trials: Iterable[Raw]) -> tuple[tuple[Raw, ...], tuple[Raw, ...]]:
    """The study's trials, and those with its label that it does not own.

    What an earlier study of the same name owns is neither: the garbage collector is about to take it.
    """
    meta = study["metadata"]
    owned, strays = [], []
    for trial in trials:
        owner = _owner(trial)
        if owner is not None and owner.get("uid") == meta["uid"]:
            owned.append(trial)
        elif owner is None or (owner.get("kind"), owner.get("name")) != ("HPOStudy", meta["name"]):
            strays.append(trial)
    return tuple(owned), tuple(strays)


@dataclass(frozen=True)
class Stray:
    """A trial that nobody has adopted yet; ``problems``: why it cannot be, in sentences."""

    raw: Raw
    name: str
    problems: tuple[str, ...]

    @classmethod
    def of(cls, raw: Raw, study: Study, planned: EngineStudy) -> Stray:
        return cls(raw, raw["metadata"]["name"], tuple(_problems(raw, study, planned)))


def held_place(index: int) -> Trial:
    """A trial that is not adopted, under a name that the operator would use, as the planner must see it: used up."""
    return Trial(index, {}, TrialState.STOPPED)


def held_indices(
    strays: Sequence[Stray], study: Study, taken: Collection[int], refusals: Mapping[str, str]
) -> list[int]:
    """Numbers of such trials, ascending."""
    names_left = {names.trial_name(study.name, i): i for i in range(study.spec.budget.trials) if i not in taken}
    refused = [stray.name for stray in strays if stray.problems or stray.name in refusals]
    return sorted(names_left[name] for name in refused if name in names_left)


def adoptions(
    strays: Sequence[Stray],
    study: Study,
    planned: EngineStudy,
    slots: int,
    why_not: str,
    refusals: Mapping[str, str],
    now: datetime,
) -> Iterator[Action]:
    """What to do about them. ``slots``: trials that may begin now; ``why_not``: why none may, whatever the slots."""
    scheduler = build_scheduler(planned)
    usable = sorted((s for s in strays if not s.problems), key=lambda s: int(s.raw["spec"]["index"]))
    for stray in (s for s in strays if s.problems):
        yield from _told(stray, "Failed", REFUSED, "; ".join(stray.problems), now)
    free = 0 if why_not else slots
    for stray in usable:
        if stray.name in refusals:
            yield from _told(stray, "Pending", "AdoptionRefused", refusals[stray.name], now)
        elif free > 0:
            free -= 1
            if stray.raw.get("status"):  # of a refusal, or somebody's invention
                yield PutTrialStatus(stray.name, TrialStatus())
            meta = {"ownerReferences": [names.owner_reference("HPOStudy", study.name, study.uid)]}
            labels = {"labels": names.common_labels(study.name)}
            entry = scheduler.entry(int(stray.raw["spec"]["index"]))
            yield AdoptTrial(stray.name, meta | labels, {"resource": entry.resource})
            yield RecordEvent("Normal", "TrialAdopted", f"trial {stray.name}, made by hand")
        else:
            busy = f"all {study.spec.budget.parallelism} places for trials are taken; it begins when one is free"
            yield from _told(stray, "Pending", "WaitingForPlace", why_not or busy, now)


def _problems(raw: Raw, study: Study, planned: EngineStudy) -> Iterator[str]:
    """Why the trial cannot be the study's; its status is not looked at."""
    try:
        trial = parse_trial({key: value for key, value in raw.items() if key != "status"})
    except InvalidObject as error:
        yield from map(str, error.errors)
        return
    owner = _owner(raw)
    if owner is not None:
        found = f"{owner.get('kind')}/{owner.get('name')}"
        yield f"metadata.ownerReferences: expected none, since its study shall own the trial, found {found}"
    yield from _place_problems(trial, study)
    try:
        planned.space.check(engine_study.from_text(study.spec, trial.spec.parameters))
    except StudyError as error:
        yield f"spec.{error.field}: {error.message}"
    except ValueError as error:
        yield str(error)


def _place_problems(trial: HpoTrial, study: Study) -> Iterator[str]:
    spec, most = trial.spec, study.spec.budget.trials
    if spec.study != study.name:
        yield f"spec.study: expected {study.name}, the study of its label {names.STUDY_LABEL}, found {show(spec.study)}"
    elif trial.name != names.trial_name(study.name, spec.index):
        expected = names.trial_name(study.name, spec.index)
        yield f"metadata.name: expected {expected}, which its study and its index make, found {show(trial.name)}"
    if spec.index >= most:
        yield f"spec.index: expected less than spec.budget.trials = {most} of the study, found {spec.index}"
    if spec.rung or spec.steps or spec.desired_state != "Measured":
        yield "spec: expected no rung, steps or desiredState: these are the operator's to write"


def _told(stray: Stray, phase: str, reason: str, message: str, now: datetime) -> Iterator[Action]:
    old = parse_trial_status(stray.raw)
    generation = stray.raw["metadata"].get("generation", 1)
    at, over = clock.to_text(now), phase == "Failed"
    new = TrialStatus.model_validate(
        {
            "observedGeneration": generation,
            "phase": phase,
            "reason": reason,
            "message": message[:2048],
            "conditions": [
                condition(old.conditions, "Finished", "True" if over else "False", reason, message, generation, at),
                condition(old.conditions, "Succeeded", "False" if over else "Unknown", reason, message, generation, at),
            ],
        }
    )
    if new == old:
        return
    yield PutTrialStatus(stray.name, new)
    if over:
        yield RecordEvent("Warning", "TrialRefused", f"trial {stray.name}: {message}"[:1000])


def _owner(raw: Raw) -> Raw | None:
    owners = raw["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), owners[0] if owners else None)
