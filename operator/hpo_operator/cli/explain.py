"""``hpo explain``: why a trial has its configuration, whom it beat on its way, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

from hpo_engine import study as engine
from hpo_engine.fidelity import watched_levels
from hpo_engine.incumbent import incumbent, loss_at
from hpo_engine.trial import Trial, TrialState
from hpo_operator.api import engine_study
from hpo_operator.api.trial import HpoTrial, Measurement, Step
from hpo_operator.cli.analysis_parts import heading, table
from hpo_operator.cli.options import reads_objects
from hpo_operator.manifests import names
from hpo_operator.mistakes import Mistake
from hpo_operator.reconcile.history import History
from hpo_operator.report.words import after
from hpo_operator.studies.stored_objects import Source
from hpo_operator.studies.typed_objects import TypedStudy, typed_study

SHOWN = 4
"""Rivals of a rung that are named, nearest first."""
ORIGINS = {
    "GP": "Under the Gaussian process its acquisition function was the largest",
    "TPE": "Under the Parzen estimator good trials are dense there, and bad ones are not",
    "Sobol": "It is the next point of a Sobol sequence, which fills the space evenly",
    "Random": "It was drawn at random",
    "Grid": "It is the next configuration of the grid",
    "Given": "It is one of spec.initialPoints",
    "Earlier": "It is one of the best of earlier studies",
}


@dataclass(frozen=True)
class Explained:
    """A trial among those of its study."""

    stored: TypedStudy
    study: engine.Study
    trial: HpoTrial

    def seen_by(self, decision: int) -> Mapping[int, Trial]:
        """All trials as that decision saw them."""
        watched = bool(watched_levels(self.study))
        return History(self.stored.study.spec, self.stored.trials, watched).seen_by(decision)

    def name(self, index: int) -> str:
        return names.trial_name(self.stored.study.name, index)


@reads_objects
def explain(
    trial: Annotated[str, typer.Argument(help="Its name, such as brain-tissue-7.")],
    source: Source,
) -> None:
    """Say why a trial has its configuration: what was known then, what was expected, whom it beat, what came of it.

    Example: hpo explain brain-tissue-7
    """
    study = trial.rpartition("-")[0]
    stored = typed_study(source, study)
    found = next((each for each in stored.trials if each.name == trial), None)
    if found is None:
        raise Mistake(f"{trial}: expected a trial of {study}, which has {len(stored.trials)}")
    Console().print(
        explanation(Explained(stored, engine_study.engine_study(stored.study.spec), found)), highlight=False
    )


def explanation(one: Explained) -> Group:
    """From the suggestion to the result."""
    return Group(*_headline(one), *_origin(one), *_knowledge(one), *_rungs(one), *_result(one))


def _headline(one: Explained) -> Iterator[RenderableType]:
    status = one.trial.status
    text = Text(one.trial.name, style="bold")
    text.append(f"  {status.phase}" + (f": {status.reason}" if status.reason else ""), style="not bold")
    yield text
    rows = table("parameter", "value")
    for name, value in one.trial.spec.parameters.items():
        rows.add_row(name, value)
    yield rows


def _origin(one: Explained) -> Iterator[RenderableType]:
    yield heading("Why this configuration?")
    why = one.trial.spec.rationale
    if why is None:
        yield Text("It was not suggested by the operator.")
        return
    value = "" if why.acquisition is None else f": {why.acquisition:.4g}"
    words = f"{ORIGINS.get(why.origin, why.origin)}{value}."
    if why.mean is not None and why.sigma is not None:
        words += f" It expected {one.study.objective.metric} {why.mean:.4g} ± {why.sigma:.2g}{_at_the_end(one)}."
    if why.bracket is not None:
        words += f" It entered bracket {why.bracket}."
    yield Text(words)


def _at_the_end(one: Explained) -> str:
    return after(one.study, one.study.fidelity.maximum) if one.study.fidelity is not None else ""


def _knowledge(one: Explained) -> Iterator[RenderableType]:
    start = next((step for step in one.trial.spec.steps if step.kind == "Start"), None)
    if start is None:
        yield Text("No recorded decision began it: it was made by hand, or before decisions were recorded.")
        return
    seen = one.seen_by(start.decision)
    states = [trial.state for trial in seen.values()]
    measured = sum(bool(trial.measurements) for trial in seen.values())
    words = (
        f"Decision {start.decision} began it (free slots: {start.slots}). Known then: {len(seen)} trials, "
        f"{measured} measured, {states.count(TrialState.FAILED)} failed, {states.count(TrialState.RUNNING)} running"
    )
    best = incumbent(one.study, seen.values())
    if best is not None:
        value = f"{one.study.objective.metric} {best.latest.value:.4g}{after(one.study, best.latest.resource)}"
        words += f"; the best was {one.name(best.index)} with {value}"
    yield Text(f"{words}.")


def _rungs(one: Explained) -> Iterator[RenderableType]:
    moves = [step for step in one.trial.spec.steps if step.kind != "Start"]
    if not moves:
        return
    yield heading("What was decided about it later?")
    for step in moves:
        if step.kind == "Stop":
            yield Text(f"Decision {step.decision} stopped it{after(one.study, _reached(one.trial))}.")
        else:
            yield Text(_promotion(one, step))


def _promotion(one: Explained, step: Step) -> str:
    """Whom it beat on the rung that it left, by what was known then."""
    seen = one.seen_by(step.decision)
    mine = seen[one.trial.spec.index]
    here = mine.resource
    rivals = sorted(
        (loss, trial.index)
        for trial in seen.values()
        if trial.index != mine.index and (loss := loss_at(one.study.objective, trial, here)) is not None
    )
    own = loss_at(one.study.objective, mine, here)
    words = f"Decision {step.decision} promoted it{_to(one, step)}"
    if own is None or not rivals:
        return f"{words}."
    better = sum(loss < own for loss, _ in rivals)
    behind = [(loss, index) for loss, index in rivals if loss >= own][:SHOWN]
    values = [f"{one.name(index)} {one.study.objective.loss(loss):.4g}" for loss, index in behind]
    words += (
        f": {one.study.objective.loss(own):.4g}{after(one.study, here)}, number {better + 1} of {len(rivals) + 1} "
        "measured there"
    )
    return f"{words}; behind it {', '.join(values)}." if values else f"{words}."


def _to(one: Explained, step: Step) -> str:
    return f" to {step.resource} {one.study.fidelity.resource}" if one.study.fidelity is not None else ""


def _reached(trial: HpoTrial) -> int:
    return max((point.resource for point in trial.status.curve), default=0)


def _result(one: Explained) -> Iterator[RenderableType]:
    yield heading("What came of it?")
    status = one.trial.status
    if status.measurements:
        rows = table("rung", one.study.objective.metric, *([one.study.fidelity.resource] if one.study.fidelity else []))
        for m in status.measurements:
            rows.add_row(str(m.rung), f"{m.value:.6g}", *([str(m.resource)] if one.study.fidelity else []))
        yield rows
        yield from _surprise(one, status.measurements[-1])
    if status.failure is not None:
        yield Text(f"It failed: {status.failure.reason}: {status.failure.message}")
    elif not status.measurements:
        yield Text(
            "Nothing was measured yet." if status.phase != "Stopped" else "It was stopped before its measurement."
        )
    if status.interruptions:
        yield Text(f"Interrupted {status.interruptions} times, which counts for nothing.")


def _surprise(one: Explained, last: Measurement) -> Iterator[RenderableType]:
    """Predicted against measured, where both are of a full training."""
    why, fidelity = one.trial.spec.rationale, one.study.fidelity
    if why is None or why.mean is None or not why.sigma or not math.isfinite(why.mean):
        return
    if fidelity is not None and last.resource < fidelity.maximum:
        yield Text(f"Expected {why.mean:.4g} ± {why.sigma:.2g} was for {fidelity.maximum} {fidelity.resource}.")
        return
    z = (one.study.objective.loss(why.mean) - one.study.objective.loss(last.value)) / why.sigma
    side = "better" if z > 0 else "worse"
    yield Text(f"Measured {last.value:.4g}, expected {why.mean:.4g} ± {why.sigma:.2g}: {abs(z):.1f} σ {side}.")
