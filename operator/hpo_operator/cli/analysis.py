"""What a local study's history tells, in tables and plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hpo_engine.analysis.belief import believe
from hpo_engine.analysis.importance import Importances, importances
from hpo_engine.analysis.pareto import Goal, pareto_front
from hpo_engine.analysis.random_search import least_draws, probability_within
from hpo_engine.analysis.rank_correlation import RankCorrelation, rank_correlations
from hpo_engine.incumbent import incumbent
from hpo_engine.study import Study
from hpo_engine.trial import Trial, TrialState
from hpo_operator.api import engine_study
from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study, parse_trial
from hpo_operator.cli.analysis_beliefs import beliefs_view, gain_view
from hpo_operator.cli.analysis_parts import after, heading, percent, table
from hpo_operator.cli.analysis_plot import save_slices
from hpo_operator.cli.stored_objects import SourceError, study_folder
from hpo_operator.local.store import ObjectStore
from hpo_operator.reconcile.snapshot import Snapshot
from hpo_operator.reconcile.trial_state import engine_trial, view_trial

Raw = Mapping[str, Any]
TOPS = (0.01, 0.05, 0.1)
LARGE = 10**6
"""A space of more configurations is as good as infinite for so few draws."""
SHOWN_PAIRS, SMALLEST_PAIR = 5, 0.01
BELIEVABLE, PER_PARAMETER = 0.5, 5
"""Leave-one-out R², and trials for each parameter, below which importances are called into question: with a handful of
trials the length scales themselves are fitted to chance, which leaving one out does not show."""
SIGNIFICANT = 0.05


class AnalysisError(Exception):
    """There is no such study, or it cannot be read; the message is for the user."""


@dataclass(frozen=True)
class StoredStudy:
    """A study as the engine sees it; ``seconds``: training time by trial; ``notes``: what had to be left out."""

    name: str
    study: Study
    trials: tuple[Trial, ...]
    seconds: Mapping[int, float]
    notes: tuple[str, ...]


def load_study(target: str, state: Path, now: datetime) -> StoredStudy:
    """The study whose folder ``target`` is, or whose name it is below ``state``.

    Raises:
        AnalysisError: nothing is stored there, or what is stored is no study.
    """
    try:
        folder = study_folder(target, state)
    except SourceError as error:
        raise AnalysisError(str(error)) from None
    try:
        store = ObjectStore(folder)
        return _understood(store.all("study")[0], store.all("trials"), now)
    except InvalidObject as error:
        raise AnalysisError(f"{folder}/study: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnalysisError(f"{folder}: expected objects that `hpo run` wrote, found others ({error})") from None


def _understood(raw: Raw, raw_trials: Sequence[Raw], now: datetime) -> StoredStudy:
    parsed = parse_study(raw)
    trials, seconds, notes = [], {}, []
    for raw_trial in raw_trials:
        try:
            trial = parse_trial(raw_trial)
            parameters = engine_study.from_text(parsed.spec, trial.spec.parameters)
        except (InvalidObject, ValueError) as error:
            notes.append(f"{raw_trial['metadata']['name']} is left out: {error}")
            continue
        view = view_trial(trial, parsed.spec, {}, Snapshot(raw), 0, now)
        trials.append(engine_trial(view, parameters))
        times = [m.seconds for m in trial.status.measurements]
        if times and None not in times:
            seconds[trial.spec.index] = sum(time for time in times if time is not None)
    return StoredStudy(parsed.name, engine_study.engine_study(parsed.spec), tuple(trials), seconds, tuple(notes))


def analysis_view(stored: StoredStudy) -> Group:
    """Best trial, importances, beliefs, predictiveness of short runs, time against quality, gains to come, and luck."""
    measured = [trial for trial in stored.trials if trial.measurements]
    failed = sum(trial.state is TrialState.FAILED for trial in stored.trials)
    headline = Text(stored.name, style="bold")
    headline.append(f"  {len(stored.trials)} trials, {len(measured)} measured, {failed} failed", style="not bold")
    parts: list[RenderableType] = [headline, *(Text(note, style="yellow") for note in stored.notes)]
    if not measured:
        parts.append(Text("Nothing was measured yet."))
        return Group(*parts)
    study = stored.study
    parts.extend(_best(stored))
    belief = believe(study, stored.trials)
    parts.extend(_importances(study, importances(study, stored.trials)))
    if belief is not None:
        parts.extend(beliefs_view(belief))
    parts.extend(_predictors(study, measured))
    parts.extend(_front(stored))
    if belief is not None:
        parts.extend(gain_view(belief))
    parts.extend(_luck(study, measured))
    return Group(*parts)


def plot_beliefs(stored: StoredStudy, path: Path) -> None:
    """Draw the model's slices to ``path``.

    Raises:
        AnalysisError: there is no model yet, or nothing to draw with.
    """
    belief = believe(stored.study, stored.trials)
    if belief is None:
        raise AnalysisError(f"{stored.name}: expected enough trials at one resource for a model to draw, found too few")
    if not save_slices(belief, path):
        raise AnalysisError("--plot needs matplotlib: pip install 'hpo-operator[demo]'")


def _best(stored: StoredStudy) -> Iterator[RenderableType]:
    study = stored.study
    best = incumbent(study, stored.trials)
    if best is None:
        yield heading("Best trial: none, as no trial that did not fail measured a number")
        return
    last = max(best.measurements, key=lambda m: m.resource)
    yield heading(f"Best trial: {best.index}, {study.objective.metric} {last.value:.5g}{after(study, last.resource)}")
    rows = table("parameter", "value")
    for name, value in best.parameters.items():
        rows.add_row(name, value if isinstance(value, str) else f"{value:.4g}")
    yield rows


def _importances(study: Study, found: Importances | None) -> Iterator[RenderableType]:
    metric = study.objective.metric
    yield heading(f"Which parameters move {metric}?")
    if found is None:
        yield Text("Not to be told yet: too few trials at one resource, or no difference between them.")
        return
    rows = table("parameter", "alone", "with others")
    for name, effect in sorted(found.effects.items(), key=lambda item: -item[1].total):
        rows.add_row(name, percent(effect.main), percent(effect.total))
    yield rows
    pairs = [(pair, share) for pair, share in found.pairs.items() if share >= SMALLEST_PAIR][:SHOWN_PAIRS]
    if pairs:
        yield Text("Pairs: " + ", ".join(f"{a} × {b} {percent(share)}" for (a, b), share in pairs))
    yield Text(
        f"Shares of the variance of {metric} over the whole search space, by a model of {found.trials} trials"
        f"{after(study, found.resource)}. Predicting each trial from the others, it explains "
        f"{percent(max(0.0, found.explained))} of their variance."
    )
    if found.explained < BELIEVABLE:
        yield Text("That is little: do not rely on these shares.", style="yellow")
    elif found.trials < PER_PARAMETER * len(found.effects):
        yield Text(
            f"{found.trials} trials are few for {len(found.effects)} parameters: do not rely on these shares.",
            style="yellow",
        )


def _predictors(study: Study, measured: Sequence[Trial]) -> Iterator[RenderableType]:
    found = rank_correlations(study.objective, measured)
    if study.fidelity is None or not found:
        return
    unit = study.fidelity.resource
    yield heading("Is a short run a predictor?")
    rows = table(unit, "against", "trials", "τ", "z", "p")
    for resource, c in found.items():
        row = (
            ("-",) * 5 if c is None else (*map(str, (c.reached, c.trials)), f"{c.tau:.2f}", f"{c.z:.2f}", f"{c.p:.2g}")
        )
        rows.add_row(str(resource), *row)
    yield rows
    for resource, c in found.items():
        yield Text(_predicts(unit, c) if c else f"From {resource} {unit} on: too few trials went on, or all are tied.")
    yield Text(
        "τ is the share of pairs of trials ranked alike minus the share ranked oppositely: 1 tells all, 0 nothing. "
        "Only promoted trials have both values, and they are alike in having been good; over all trials τ is rather "
        "higher."
    )


def _predicts(unit: str, c: RankCorrelation) -> str:
    sentence = (
        f"From {c.resource} to {c.reached} {unit}: of two trials, the one ahead at first was ahead later as well in "
        f"{percent(c.agreement)} of the pairs (chance: 50 %)."
    )
    if c.p >= SIGNIFICANT:
        sentence += f" That can be chance, p = {c.p:.2g}."
    return sentence + (f" With {c.trials} trials p is only a hint." if c.is_rough else "")


def _front(stored: StoredStudy) -> Iterator[RenderableType]:
    """Objective against training time, among the trials that were trained as far as the best."""
    study = stored.study
    best = incumbent(study, stored.trials)
    if best is None:
        return
    top = max(m.resource for m in best.measurements)
    metric = study.objective.metric
    values = {t.index: t.value_at(top) for t in stored.trials if t.state is not TrialState.FAILED}
    both = {
        index: {"objective": value, "seconds": stored.seconds[index]}
        for index, value in values.items()
        if value is not None and index in stored.seconds
    }
    front = pareto_front(both, (Goal("objective", study.objective.maximize), Goal("seconds", maximize=False)))
    if len(both) < 2:
        return
    yield heading(f"Nothing is both faster and better{after(study, top)}")
    rows = table("trial", metric, "seconds")
    for index in sorted(front, key=lambda index: both[index]["seconds"]):
        rows.add_row(str(index), f"{both[index]['objective']:.5g}", f"{both[index]['seconds']:.4g}")
    yield rows


def _luck(study: Study, measured: Sequence[Trial]) -> Iterator[RenderableType]:
    draws, size = len(measured), study.space.size()
    total = size if size is not None and size <= LARGE else None
    yield heading("What would luck have bought?")
    rows = table("one of the best", f"chance with {draws} random trials", "trials for 95 %")
    for top in TOPS:
        chance = probability_within(draws if total is None else min(draws, total), top, total)
        rows.add_row(percent(top), percent(chance), str(least_draws(0.95, top, total)))
    yield rows
    words = "Random search draws configurations blindly, each trained to the end."
    if study.fidelity is not None:
        spent = sum(max(m.resource for m in trial.measurements) for trial in measured)
        full, unit = spent // study.fidelity.maximum, study.fidelity.resource
        words += (
            f" What this study spent, {spent} {unit}, would train {full} of them to {study.fidelity.maximum} {unit}: "
            f"a chance of {percent(probability_within(full if total is None else min(full, total), 0.05, total))} "
            "to meet one of the best 5 %."
        )
    yield Text(words)
