"""What ``hpo simulate`` says: a table by rungs, sentences, and what they rest on."""

from __future__ import annotations

from collections.abc import Iterator

from hpo_operator.api.study import Study
from hpo_operator.cli.written import Format, written
from hpo_operator.report.words import count, duration
from hpo_operator.simulation.costs import Costs, MeasuredCosts, StatedCosts
from hpo_operator.simulation.summary import Spread, Summary


def table_of(study: Study, found: Summary) -> str:
    unit = study.spec.fidelity.resource if study.spec.fidelity else ""
    gpus = found.gpus_per_pod
    hours = "gpu-hours" if gpus else "pod-hours"

    def row(name: str, trials: str, units: str, spread: Spread) -> dict[str, str]:
        cells = {unit or "rung": name, "trials": trials}
        if unit:
            cells[f"{unit} trained"] = units
        return cells | {hours: spread.text(lambda s: f"{max(1, gpus) * s / 3600:.3g}")}

    rows = [
        row(str(r.resource) if unit else "all", r.trials.text(_whole), r.units.text(_whole), r.pod_seconds)
        for r in found.rungs
    ]
    if found.stopped_seconds.high > 0:
        rows.append(row("stopped before", "", "", found.stopped_seconds))
    if unit:
        rows.append(row("all", found.trials.text(_whole), found.units.text(_whole), found.pod_seconds))
    return written(rows, Format.TABLE, list(rows[0])) if rows else "nothing is measured\n"


def _whole(value: float) -> str:
    return f"{value:.0f}"


def sentences_of(study: Study, found: Summary, gpus: int | None) -> Iterator[str]:
    wall, parallelism = found.wall_seconds.text(duration), study.spec.budget.parallelism
    each, busy = found.gpus_per_pod, found.busy
    if each:
        on = f"on {count(gpus, 'GPU')}" if gpus else f"with {count(busy * each, 'GPU')}"
        hours = found.gpu_hours.text(lambda hours: f"{hours:.3g}")
        yield f"About {hours} GPU-hours; {wall} {on}; {found.pods.text(_whole)} Pods."
    else:
        hours = found.pod_seconds.text(lambda s: f"{s / 3600:.3g}")
        yield f"About {hours} Pod-hours, without GPUs; {wall}; {found.pods.text(_whole)} Pods."
    average = found.utilisation.text(lambda pods: f"{pods:.2g}")
    if busy < parallelism:
        full = gpus is not None and gpus // each < parallelism
        why = f"{count(gpus or 0, 'GPU')} hold no more" if full else "more are never due"
        yield f"Parallelism {parallelism}: never more than {count(busy, 'Pod')} at once ({why}), on average {average}."
    elif parallelism > 1:
        yield f"On average {average} of {parallelism} Pods run at once."
    for limit, draws in found.limits_met():
        yield (
            f"warning: budget.{limit} ends the study in {draws} of {count(found.draws, 'simulation')}, "
            f"after {found.trials.text(_whole)} of {study.spec.budget.trials} trials."
        )


def assumptions(study: Study, costs: Costs, earlier: str) -> Iterator[str]:
    """What the figures rest on."""
    unit = _unit(study)
    if isinstance(costs, StatedCosts):
        yield (
            f"Assumed: {costs.seconds_per_unit:g} s per {unit} on average, more or less by configuration; "
            f"{costs.startup:g} s of each Pod before it trains."
        )
    elif isinstance(costs, MeasuredCosts):
        how = "measured" if costs.before.known else "assumed"
        yield (
            f"From {earlier}: {costs.typical:.3g} s per {unit} on average, by configuration, of "
            f"{count(costs.trials, 'trial')}; {costs.startup:.3g} s of each Pod before it trains ({how})."
        )
    if study.spec.fidelity is not None and study.spec.trainer.checkpoints is None:
        yield "Without trainer.checkpoints a trial that is promoted trains from the start again."
    if study.spec.objective.target is not None:
        yield "The target is not simulated: a study that reaches it ends earlier."
    yield "No failures and no interruptions are simulated. In brackets: four of five simulations are within."


def _unit(study: Study) -> str:
    if study.spec.fidelity is None:
        return "trial"
    resource = study.spec.fidelity.resource
    return resource.removesuffix("s") if resource.endswith("s") else f"unit of {resource}"
