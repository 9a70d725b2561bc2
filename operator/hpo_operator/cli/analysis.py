"""``hpo analyse``: what a study's history tells, in tables and plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text
from threadpoolctl import threadpool_limits

from hpo_engine.analysis.belief import believe
from hpo_engine.analysis.importance import Importances, importances
from hpo_engine.analysis.random_search import least_draws, probability_within
from hpo_engine.analysis.rank_correlation import rank_correlations
from hpo_engine.incumbent import incumbent
from hpo_engine.study import Study
from hpo_engine.trial import Trial, TrialState
from hpo_operator.cli.analysis_beliefs import beliefs_view, gain_view
from hpo_operator.cli.analysis_parts import heading, table
from hpo_operator.cli.options import StudyArgument, found_study, reads_objects
from hpo_operator.cli.report import drawn
from hpo_operator.mistakes import Mistake, write_file
from hpo_operator.report.stored_study import StoredStudy
from hpo_operator.report.trade_off import SECONDS, trade_off
from hpo_operator.report.words import after, doubts, foundation, percent, predicts
from hpo_operator.studies.objects import StudyObjects
from hpo_operator.studies.stored_objects import Source
from hpo_operator.studies.typed_objects import engine_view

TOPS = (0.01, 0.05, 0.1)
LARGE = 10**6
"""A space of more configurations is as good as infinite for so few draws."""
SHOWN_PAIRS, SMALLEST_PAIR = 5, 0.01


@reads_objects
def analyse(
    study: StudyArgument,
    source: Source,
    plot: Annotated[Path | None, typer.Option(help="Draw what the model believes along each parameter (PNG).")] = None,
) -> None:
    """Say what a study's history tells: which parameters matter, what the model believes, whether to stop now.

    Example: hpo analyse study.yaml --plot beliefs.png
    """
    with threadpool_limits(limits=1):
        found = found_study(source, study)
        Console().print(analysis_view(engine_view(found)), highlight=False)
        if plot is not None:
            _plot_beliefs(found, plot)


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


def _plot_beliefs(found: StudyObjects, path: Path) -> None:
    """Raises Mistake: there is no model yet, or nothing to draw with."""
    picture = drawn("slices", found)
    if picture is None:
        raise Mistake(f"{found.name}: expected enough trials at one resource for a model to draw, found too few")
    write_file(path, picture)


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
    yield Text(foundation(study, found))
    doubt = doubts(found)
    if doubt is not None:
        yield Text(doubt, style="yellow")


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
        yield Text(predicts(unit, c) if c else f"From {resource} {unit} on: too few trials went on, or all are tied.")
    yield Text(
        "τ is the share of pairs of trials ranked alike minus the share ranked oppositely: 1 tells all, 0 nothing. "
        "Only promoted trials have both values, and they are alike in having been good; over all trials τ is rather "
        "higher."
    )


def _front(stored: StoredStudy) -> Iterator[RenderableType]:
    """Objective against the second one or training time, among the trials that were trained as far as the best."""
    found = trade_off(stored)
    if found is None:
        return
    other = found.other.metric
    better = "faster and better" if other == SECONDS else "better in both"
    yield heading(f"Nothing is {better}{after(stored.study, found.resource)}")
    rows = table("trial", stored.study.objective.metric, other)
    for index in sorted(found.front, key=lambda index: found.points[index][1]):
        rows.add_row(str(index), f"{found.points[index][0]:.5g}", f"{found.points[index][1]:.4g}")
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
