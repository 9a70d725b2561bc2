"""``plan``: the engine's one entry point.

A pure function of the study, its trials (in any order) and the number of free slots. Performing a plan and planning
again yields nothing new; the same arguments yield the same plan, byte for byte.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from hpo_engine.fidelity import build_scheduler
from hpo_engine.fidelity.base import Scheduler
from hpo_engine.incumbent import incumbent
from hpo_engine.memory import Memory
from hpo_engine.rationale import Rationale
from hpo_engine.samplers import build_sampler
from hpo_engine.samplers.base import History
from hpo_engine.samplers.freeze_thaw import FreezeThaw
from hpo_engine.study import Study
from hpo_engine.trial import Parameters, Trial, TrialState

__all__ = ["Plan", "Promotion", "Rationale", "Suggestion", "plan"]


@dataclass(frozen=True)
class Suggestion:
    """Start trial ``index`` with ``parameters`` and train it to ``resource`` (0: no fidelity)."""

    index: int
    parameters: Parameters
    resource: int
    rationale: Rationale


@dataclass(frozen=True)
class Promotion:
    """Let trial ``index`` go on from its checkpoint to ``resource``, on rung ``rung``."""

    index: int
    rung: int
    resource: int


@dataclass(frozen=True)
class Plan:
    """What should happen now. ``done``: nothing runs and nothing will ever be started again. ``notes``: for people."""

    start: tuple[Suggestion, ...] = ()
    promote: tuple[Promotion, ...] = ()
    stop: tuple[int, ...] = ()
    done: bool = False
    notes: tuple[str, ...] = field(default=())


def plan(study: Study, trials: Collection[Trial], slots: int, memory: Memory | None = None) -> Plan:
    """The next steps. ``slots``: how many trials may begin to run now, besides those that run already.

    Promotions come first, then new trials on the lowest unused indices, each seeing the earlier ones as running.
    Once the incumbent reaches the objective's target, what still runs is stopped and nothing begins.
    ``memory``: of the same study's earlier plans; it saves time and changes nothing.
    """
    memory = memory or Memory()
    history = History.of(study, trials, memory)
    running = tuple(trial.index for trial in history.trials if trial.state is TrialState.RUNNING)
    best = None if study.objective.target is None else incumbent(study, history.trials)
    if best is not None and study.objective.reached(best.latest.value):
        return Plan(stop=running, done=not running, notes=(f"trial {best.index} reached the target",))
    size = study.space.size()
    exhausted = size is not None and len(history.used(study.space)) >= size
    scheduler, by_index = build_scheduler(study), {trial.index: trial for trial in history.trials}
    unused = [] if exhausted else list(islice(_unused(study, by_index), max(1, slots)))
    due = tuple(Promotion(a.index, a.rung, a.resource) for a in scheduler.advances(by_index, closed=exhausted))
    said = tuple(_notes(history, size if exhausted and len(history.trials) < study.trials else None))
    if study.scheduler == "FreezeThaw":
        return _freeze_thaw(study, history, unused, slots, memory, said)
    promote = due[: max(0, slots)]
    begin = unused[: max(0, slots - len(promote))]
    told = {p.index: _told(by_index[p.index], p) for p in promote} if begin else {}
    start, notes = _starts(study, history.going_on(told), scheduler, begin, memory)
    return Plan(
        start=start,
        promote=promote,
        stop=tuple(scheduler.stops(by_index)),
        done=not (running or due or start or unused),
        notes=(*said, *notes),
    )


def _told(trial: Trial, promotion: Promotion) -> Trial:
    return replace(trial, state=TrialState.RUNNING, rung=promotion.rung, resource=promotion.resource)


def _starts(
    study: Study, history: History, scheduler: Scheduler, indices: Collection[int], memory: Memory
) -> tuple[tuple[Suggestion, ...], tuple[str, ...]]:
    """New trials on ``indices``, ascending, as far as the space has configurations; and the sampler's notes."""
    if not indices:
        return (), ()
    sampler = build_sampler(study, history, memory)
    started: list[Suggestion] = []
    pending: list[Trial] = []
    for index in indices:
        suggested = sampler.suggest(index, pending)
        if suggested is None:
            break
        parameters, rationale = suggested
        entry = scheduler.entry(index)
        started.append(Suggestion(index, parameters, entry.resource, replace(rationale, bracket=entry.bracket)))
        pending.append(Trial(index, parameters, TrialState.RUNNING, resource=entry.resource))
    return tuple(started), sampler.notes


def _freeze_thaw(
    study: Study, history: History, unused: Sequence[int], slots: int, memory: Memory, said: Sequence[str]
) -> Plan:
    """The plan of the scheduler that compares new trials with paused ones at every slot."""
    steps = FreezeThaw(study, history, memory).steps(unused, slots)
    lowest = build_scheduler(study).entry(0).resource
    running = any(trial.state is TrialState.RUNNING for trial in history.trials)
    return Plan(
        start=tuple(Suggestion(index, parameters, lowest, why) for index, parameters, why in steps.starts),
        promote=tuple(Promotion(a.index, a.rung, a.resource) for a in steps.advances),
        done=not (running or steps.starts or steps.advances or steps.more or unused),
        notes=(*said, *steps.notes),
    )


def _unused(study: Study, trials: Container[int]) -> Iterator[int]:
    """Indices within the study's budget that no trial has, ascending."""
    return (index for index in range(study.trials) if index not in trials)


def _notes(history: History, exhausted_size: int | None) -> Iterator[str]:
    for index, why in history.strangers:
        yield f"trial {index} is left out of the search: {why}"
    if exhausted_size is not None:
        yield f"all {exhausted_size} configurations of the space were tried"
