"""``plan``: the engine's one entry point.

A pure function of the study, its trials (in any order) and the number of free slots. Performing a plan and planning
again yields nothing new; the same arguments yield the same plan, byte for byte.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, islice

from hpo_engine.fidelity.hyperband import Hyperband
from hpo_engine.incumbent import incumbent
from hpo_engine.rationale import Rationale
from hpo_engine.samplers import build_sampler
from hpo_engine.samplers.base import History
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


def plan(study: Study, trials: Collection[Trial], slots: int) -> Plan:
    """The next steps. ``slots``: how many trials may begin to run now, besides those that run already.

    Promotions come first, then new trials on the lowest unused indices, each seeing the earlier ones as running.
    Once the incumbent reaches the objective's target, what still runs is stopped and nothing begins.
    """
    history = History.of(study, trials)
    running = tuple(trial.index for trial in history.trials if trial.state is TrialState.RUNNING)
    best = incumbent(study, history.trials)
    if best is not None and study.objective.reached(best.latest.value):
        return Plan(stop=running, done=not running, notes=(f"trial {best.index} reached the target",))
    size = study.space.size()
    exhausted = size is not None and len(history.used(study.space)) >= size
    due = tuple(_promotions(study, history, exhausted))
    promote = due[: max(0, slots)]
    start, notes = _starts(study, history, 0 if exhausted else max(0, slots - len(promote)))
    more = not exhausted and next(_unused_indices(study, history), None) is not None
    return Plan(
        start=start,
        promote=promote,
        done=not (running or due or start or more),
        notes=(*_notes(history, size if exhausted and len(history.trials) < study.trials else None), *notes),
    )


def _promotions(study: Study, history: History, exhausted: bool) -> Iterator[Promotion]:
    if study.scheduler != "Hyperband":
        return
    by_index = {trial.index: trial for trial in history.trials}
    for advance in _hyperband(study).advances(by_index, closed=exhausted):
        yield Promotion(advance.index, advance.rung, advance.resource)


def _hyperband(study: Study) -> Hyperband:
    assert study.fidelity is not None  # Study refuses Hyperband without one
    return Hyperband(study.fidelity, study.objective, study.trials)


def _starts(study: Study, history: History, slots: int) -> tuple[tuple[Suggestion, ...], tuple[str, ...]]:
    """At most ``slots`` new trials, and the sampler's notes."""
    if slots == 0:
        return (), ()
    sampler = build_sampler(study, history)
    started: list[Suggestion] = []
    pending: list[Trial] = []
    for index in islice(_unused_indices(study, history), slots):
        suggested = sampler.suggest(index, pending)
        if suggested is None:
            break
        parameters, rationale = suggested
        resource, bracket = _first_resource(study, index)
        started.append(Suggestion(index, parameters, resource, replace(rationale, bracket=bracket)))
        pending.append(Trial(index, parameters, TrialState.RUNNING, resource=resource))
    return tuple(started), sampler.notes


def _first_resource(study: Study, index: int) -> tuple[int, int | None]:
    """What a new trial is trained to first, and its bracket."""
    if study.scheduler == "Hyperband":
        bracket = _hyperband(study).bracket(index)
        return bracket.rungs[0].resource, bracket.s
    return (study.fidelity.maximum if study.fidelity is not None else 0), None


def _unused_indices(study: Study, history: History) -> Iterator[int]:
    """Ascending, below the study's budget of trials."""
    used = {trial.index for trial in history.trials}
    for index in count():
        if index >= study.trials:
            return
        if index not in used:
            yield index


def _notes(history: History, exhausted_size: int | None) -> Iterator[str]:
    for index, why in history.strangers:
        yield f"trial {index} is left out of the search: {why}"
    if exhausted_size is not None:
        yield f"all {exhausted_size} configurations of the space were tried"
