"""Every decision of a study made again, from nothing but its stored objects, and compared with what was stored.

A suggestion is a function of (spec, seed, history), and the numbers in the trials say which part of the history each
decision saw (see ``record``). So what is rebuilt must be the same to the last digit. A decision that was performed in
part left some of its steps only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hpo_engine.fidelity import watched_levels
from hpo_engine.memory import Memory
from hpo_engine.planner import Plan, Suggestion, plan
from hpo_operator.api import engine_study
from hpo_operator.api.study import Study
from hpo_operator.api.trial import HpoTrial, Step
from hpo_operator.manifests import names
from hpo_operator.manifests.trial import rationale
from hpo_operator.reconcile.history import History
from hpo_operator.reconcile.manual_trials import held_place
from hpo_operator.reconcile.record import expected_digest

SHOWN = 3
"""Names in a sentence."""


@dataclass(frozen=True)
class Difference:
    """The first thing that is not as it would be decided again. ``decision`` is None where no decision is to blame."""

    trial: str
    message: str
    decision: int | None = None

    def __str__(self) -> str:
        where = self.trial if self.decision is None else f"decision {self.decision}, {self.trial}"
        return f"{where}: {self.message}"


@dataclass(frozen=True)
class Replay:
    """``decisions``: how many of them did something. ``notes``: what could not be made again, in sentences."""

    trials: int
    decisions: int
    notes: tuple[str, ...]
    difference: Difference | None


@dataclass(frozen=True)
class Decided:
    """What is stored of one decision, each kind in the order of the trials' numbers."""

    number: int
    stops: tuple[tuple[HpoTrial, Step], ...]
    promotions: tuple[tuple[HpoTrial, Step], ...]
    starts: tuple[tuple[HpoTrial, Step], ...]

    @property
    def steps(self) -> tuple[tuple[HpoTrial, Step], ...]:
        return (*self.stops, *self.promotions, *self.starts)


def replay(study: Study, trials: Sequence[HpoTrial]) -> Replay:
    """Make every decision of the study again, the earliest first, up to the first difference."""
    ordered = sorted(trials, key=lambda trial: trial.spec.index)
    decisions = decisions_of(ordered)
    difference = next(_edits(ordered), None) or next(_differences(study, ordered, decisions), None)
    return Replay(len(ordered), len(decisions), tuple(_notes(ordered)), difference)


def decisions_of(trials: Sequence[HpoTrial]) -> tuple[Decided, ...]:
    """In their order."""
    found: dict[int, dict[str, list[tuple[HpoTrial, Step]]]] = {}
    for trial in trials:
        for step in trial.spec.steps:
            kinds = found.setdefault(step.decision, {"Stop": [], "Promote": [], "Start": []})
            kinds[step.kind].append((trial, step))
    return tuple(
        Decided(number, tuple(kinds["Stop"]), tuple(kinds["Promote"]), tuple(kinds["Start"]))
        for number, kinds in sorted(found.items())
    )


def _notes(trials: Sequence[HpoTrial]) -> Iterator[str]:
    found = [trial.name for trial in trials if trial.status.found_in is not None]
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        yield (
            f"{', '.join(found[:SHOWN])}{more}: begun by no recorded decision (made by hand, or before decisions were "
            "recorded), taken as given"
        )


def _edits(trials: Sequence[HpoTrial]) -> Iterator[Difference]:
    """What was changed after the operator had written it, as far as a trial's own record tells."""
    for trial in trials:
        spec, status = trial.spec, trial.status
        if status.digest != expected_digest(status):
            message = "what is stored of its measurements, failure or stop is not what the decisions were told"
            yield Difference(trial.name, message)
        moves = [step for step in spec.steps if step.kind != "Stop"]
        if moves and (moves[-1].rung, moves[-1].resource) != (spec.rung, spec.resource):
            yield Difference(
                trial.name,
                f"stored is rung {spec.rung} to {spec.resource}, decided was rung {moves[-1].rung} to "
                f"{moves[-1].resource}",
            )


def _differences(study: Study, trials: Sequence[HpoTrial], decisions: Sequence[Decided]) -> Iterator[Difference]:
    planned_for = engine_study.engine_study(study.spec)
    history, memory = History(study.spec, trials, bool(watched_levels(planned_for))), Memory()
    for decided in decisions:
        odd = _circumstances(decided)
        if odd is not None:
            yield odd
            return
        step = decided.steps[0][1]
        seen = history.seen_by(decided.number)
        held = map(held_place, step.held or ())
        rebuilt = plan(replace(planned_for, trials=step.trials), [*seen.values(), *held], step.slots, memory)
        yield from _compared(study, decided, rebuilt)


def _circumstances(decided: Decided) -> Difference | None:
    """All steps of one decision were taken in the same circumstances."""
    (first, one), *others = decided.steps
    for trial, step in others:
        if (step.slots, step.trials, step.held) != (one.slots, one.trials, one.held):
            return Difference(
                trial.name,
                f"decided with {step.slots} free slots of {step.trials} trials, and {first.name} in the same decision "
                f"with {one.slots} of {one.trials}",
                decided.number,
            )
    return None


def _compared(study: Study, decided: Decided, rebuilt: Plan) -> Iterator[Difference]:
    for trial, _ in decided.stops:
        if trial.spec.index not in rebuilt.stop:
            yield Difference(trial.name, f"was stopped; rebuilt: {_told(study, rebuilt)}", decided.number)
    due = {p.index: (p.rung, p.resource) for p in rebuilt.promote}
    for trial, step in decided.promotions:
        if due.get(trial.spec.index) != (step.rung, step.resource):
            message = f"was promoted to rung {step.rung}, to {step.resource}; rebuilt: {_told(study, rebuilt)}"
            yield Difference(trial.name, message, decided.number)
    suggestions = {suggestion.index: suggestion for suggestion in rebuilt.start}
    for trial, step in decided.starts:
        suggestion = suggestions.get(trial.spec.index)
        unlike = _unlike(trial, step, suggestion) if suggestion else f"was begun; rebuilt: {_told(study, rebuilt)}"
        if unlike is not None:
            yield Difference(trial.name, unlike, decided.number)


def _unlike(trial: HpoTrial, step: Step, suggestion: Suggestion) -> str | None:
    """What of a new trial is not as suggested; None: it is."""
    if suggestion.resource != step.resource:
        return f"was begun to reach {step.resource}; rebuilt: {suggestion.resource}"
    wanted = engine_study.to_text(suggestion.parameters)
    for name in sorted(wanted.keys() | trial.spec.parameters.keys()):
        stored, rebuilt = trial.spec.parameters.get(name, "absent"), wanted.get(name, "absent")
        if stored != rebuilt:
            return f"stored {name} = {stored}; rebuilt: {rebuilt}"
    if trial.spec.rationale != rationale(suggestion):
        return f"stored rationale ({trial.spec.rationale}); rebuilt: ({rationale(suggestion)})"
    return None


def _told(study: Study, rebuilt: Plan) -> str:
    """A plan in a few words."""
    words = [
        *(f"{names.trial_name(study.name, index)} is stopped" for index in rebuilt.stop),
        *(f"{names.trial_name(study.name, p.index)} to rung {p.rung}, to {p.resource}" for p in rebuilt.promote),
        *(f"{names.trial_name(study.name, s.index)} is begun" for s in rebuilt.start),
    ]
    return ", ".join(words) or "nothing"
