"""The study in words: what was searched, what came out, how sure that is, what it cost, and why it ended."""

from __future__ import annotations

from hpo_operator.reconcile.clock import seconds_between
from hpo_operator.report.cost import cost
from hpo_operator.report.evidence import Evidence
from hpo_operator.report.html import Html, Section, element, joined, paragraphs, section, table
from hpo_operator.report.words import after, count, doubts, duration, number, percent

SHOWN_RIVALS = 5


def summary(evidence: Evidence) -> Section:
    return section(
        "summary",
        "Summary",
        _key_figures(evidence),
        paragraphs(_searched(evidence), _found(evidence), _sure(evidence), _ended(evidence), *evidence.stored.notes),
        _best_table(evidence),
    )


def _key_figures(evidence: Evidence) -> Html:
    spent, status = cost(evidence), evidence.stored.object.status
    best = evidence.best
    wall = duration(seconds_between(status.start_time, status.completion_time)) if status.completion_time else "-"
    figures = {
        f"best {evidence.metric}": "-" if best is None else number(best.latest.value),
        "trials": status.progress or str(len(evidence.stored.trials)),
        "failed": str(status.trials.failed),
        "GPU-hours": number(spent.gpu_hours, 3),
        "training time": duration(spent.seconds),
        "wall clock": wall,
    }
    entries = (element("div", element("dt", key), element("dd", value)) for key, value in figures.items())
    return element("dl", *entries, class_="key")


def _searched(evidence: Evidence) -> str:
    study, spec = evidence.stored.study, evidence.stored.object.spec
    names = ", ".join(parameter.name for parameter in study.space.parameters)
    wanted = "largest" if evidence.maximize else "smallest"
    algorithm = evidence.stored.object.status.algorithm or study.sampler.name
    words = (
        f"The study looked for the {wanted} {evidence.metric} over {count(len(spec.parameters), 'parameter')} "
        f"({names}) with {algorithm}, in {count(len(evidence.stored.trials), 'trial')}"
    )
    if study.fidelity is not None:
        words += f" of {study.fidelity.minimum} to {study.fidelity.maximum} {study.fidelity.resource}"
    bounds = [
        f"{c.metric} {'at most' if c.maximum is not None else 'at least'} "
        f"{number(c.maximum if c.maximum is not None else c.minimum)}"
        for c in study.constraints
    ]
    return f"{words}." + (f" Only trials with {' and '.join(bounds)} count." if bounds else "")


def _found(evidence: Evidence) -> str:
    best, (compared, resource) = evidence.best, evidence.ranked
    if best is None:
        return "No trial that did not fail has measured a number, so there is no best configuration yet."
    value = best.value_at(resource)
    words = (
        f"The best is trial {best.index} with {evidence.metric} {number(value)}{after(evidence.stored.study, resource)}"
    )
    if len(compared) > 1 and value is not None:
        second = compared[1].value_at(resource) or 0.0
        gap = abs(value - second)
        words += f"; the next best, trial {compared[1].index}, is {number(gap, 2)} behind"
    return f"{words}. {count(len(compared) - 1, 'other trial')} can be compared with it."


def _sure(evidence: Evidence) -> str:
    """What the model believes of the configuration that it would recommend; without a model, what luck would do."""
    belief, found = evidence.belief, evidence.importances
    if belief is None:
        return "Too little was measured at any one resource for a model to say how sure that is."
    mean, sd = belief.posterior.predict(belief.best[None, :])
    low, middle, high = (float(belief.values(at)[0]) for at in (mean - sd, mean, mean + sd))
    words = (
        f"The model believes that the configuration it recommends reaches {evidence.metric} {number(middle, 4)}"
        f"{after(evidence.stored.study, belief.resource)}, between {number(min(low, high), 4)} and "
        f"{number(max(low, high), 4)} within one standard deviation"
    )
    doubt = None
    if found is not None:
        words += f"; predicting each trial from the others, it explains {percent(max(0.0, found.explained))}"
        words += " of their variance"
        doubt = doubts(found)
    return f"{words}." + (" So few trials make it little more than a guess." if doubt else "")


def _ended(evidence: Evidence) -> str:
    status = evidence.stored.object.status
    finished = any(c.type == "Finished" and c.status == "True" for c in status.conditions)
    verb = "It ended" if finished else "It has not ended"
    message = status.message or "it has not been looked at yet"
    return f"{verb}: {message}" + (f" ({status.reason})." if status.reason else ".")


def _best_table(evidence: Evidence) -> Html:
    """The best few side by side."""
    compared = evidence.ranked[0][:SHOWN_RIVALS]
    if not compared:
        return joined(())
    rows = [(evidence.metric, *(number(t.value_at(evidence.ranked[1])) for t in compared))]
    for parameter in evidence.stored.study.space.parameters:
        values = (t.parameters.get(parameter.name) for t in compared)
        rows.append((parameter.name, *("-" if value is None else number(value) for value in values)))
    headings = ("", *(f"trial {t.index}" for t in compared))
    return table(headings, rows, "The best configurations, the best first")
