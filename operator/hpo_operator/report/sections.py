"""The report's sections between the summary and the provenance, each from one plot or table and its words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from hpo_operator.report.evidence import Evidence
from hpo_operator.report.html import Section, element, paragraphs, section, table
from hpo_operator.report.plots.curves import curves
from hpo_operator.report.plots.front import front
from hpo_operator.report.plots.history import history
from hpo_operator.report.plots.importance import importance
from hpo_operator.report.plots.parallel import parallel
from hpo_operator.report.plots.rungs import rungs
from hpo_operator.report.plots.slices import slices
from hpo_operator.report.svg import figure_of
from hpo_operator.report.trade_off import SECONDS
from hpo_operator.report.words import after, doubts, foundation, number, percent

MESSAGE = 300
"""Characters of a failure's message that are shown."""
SHOWN_PAIRS, SMALLEST_PAIR = 5, 0.01


def sections(evidence: Evidence) -> Iterator[Section]:
    """Those that there is something to say in."""
    for identifier, plot in (
        ("history", history(evidence)),
        ("curves", curves(evidence)),
        ("configurations", parallel(evidence)),
    ):
        if plot is not None:
            yield section(identifier, plot.title, figure_of(plot, identifier))
    yield importance_section(evidence)
    yield from _beliefs(evidence)
    yield from _rungs(evidence)
    yield from _front(evidence)
    yield from _gains(evidence)
    yield from _failures(evidence)


def importance_section(evidence: Evidence) -> Section:
    title = f"Which parameters move {evidence.metric}?"
    plot, found = importance(evidence), evidence.importances
    if plot is None or found is None:
        sentence = "Not to be told yet: too few trials at one resource, or no difference between them."
        return section("importances", title, paragraphs(sentence))
    doubt = doubts(found)
    pairs = [(pair, share) for pair, share in found.pairs.items() if share >= SMALLEST_PAIR][:SHOWN_PAIRS]
    together = ", ".join(f"{a} × {b} {percent(share)}" for (a, b), share in pairs)
    return section(
        "importances",
        title,
        paragraphs(foundation(evidence.stored.study, found)),
        *([element("p", doubt, class_="doubt")] if doubt else []),
        figure_of(plot, "importance"),
        paragraphs(f"Pairs, beyond what each does alone: {together}." if together else ""),
    )


def _beliefs(evidence: Evidence) -> Iterator[Section]:
    plots = slices(evidence)
    if not plots or evidence.belief is None:
        return
    words = (
        f"The mean of the Gaussian process and one standard deviation, of {evidence.metric}"
        f"{after(evidence.stored.study, evidence.belief.resource)}. “At the best” changes one parameter of the "
        "recommended configuration; “on average” holds it and averages over all others. Points are trials."
    )
    panels = [figure_of(plot, f"slice-{number}") for number, plot in enumerate(plots)]
    yield section(
        "beliefs", "What does the model believe?", paragraphs(words), element("div", *panels, class_="panels")
    )


def _rungs(evidence: Evidence) -> Iterator[Section]:
    plots = rungs(evidence)
    if not plots:
        return
    words = (
        "τ is the share of pairs of trials ranked alike minus the share ranked oppositely: 1 tells all, 0 nothing. z "
        "and p test it against chance. Only promoted trials have both values, and they are alike in having been good; "
        "over all trials τ is rather higher."
    )
    panels = [figure_of(plot, f"rung-{number}") for number, plot in enumerate(plots)]
    yield section("rungs", "Is a short run a predictor?", paragraphs(words), element("div", *panels, class_="panels"))


def _front(evidence: Evidence) -> Iterator[Section]:
    plot, found = front(evidence), evidence.trade_off
    if plot is not None and found is not None:
        title = "Quality against training time" if found.other.metric == SECONDS else "Pareto front"
        yield section("front", title, figure_of(plot, "front"))


def _gains(evidence: Evidence) -> Iterator[Section]:
    if not evidence.gains:
        return
    rows = [
        (str(g.trials), *(number(v, 3) for v in (g.model, g.ceiling, g.random)), percent(g.random_chance))
        for g in evidence.gains
    ]
    words = (
        f"Expected gains of {evidence.metric} over today's best, by functions drawn from the model: of the search's "
        "next trials, of a search that knew the function, and of blind draws. Believe them as far as the model "
        "predicts. The last column needs no model: that random draws beat the best of as many as were measured."
    )
    headings = ("more trials", "expected gain", "at most", "random search", "chance of random")
    yield section("gains", "Would more trials help?", paragraphs(words), table(headings, rows, "Expected gains"))


def _failures(evidence: Evidence) -> Iterator[Section]:
    by_reason = defaultdict(list)
    for found in evidence.stored.objects:
        if found.status.failure is not None:
            by_reason[found.status.failure.reason].append((found.spec.index, found.status.failure.message))
    if not by_reason:
        return
    rows = [
        (reason, str(len(failed)), ", ".join(str(index) for index, _ in failed), failed[0][1][:MESSAGE])
        for reason, failed in sorted(by_reason.items(), key=lambda item: -len(item[1]))
    ]
    yield section(
        "failures", "Failures", table(("cause", "trials", "which", "what the first one said"), rows, "Failed for good")
    )
