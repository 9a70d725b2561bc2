"""``hpo simulate``: what a study will use, before any of it is used."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hpo_operator.api.engine_study import engine_study
from hpo_operator.api.parse import parse_study
from hpo_operator.api.study import Study
from hpo_operator.cli.options import found_study, reads_objects
from hpo_operator.cli.simulate_words import assumptions, sentences_of, table_of
from hpo_operator.mistakes import Mistake
from hpo_operator.report.stored_study import understood
from hpo_operator.report.words import count
from hpo_operator.simulation.costs import MeasuredCosts, StatedCosts
from hpo_operator.simulation.costs import measured_costs as costs_of
from hpo_operator.simulation.forecast import forecast, pod_gpus
from hpo_operator.simulation.startup import STARTUP_SECONDS
from hpo_operator.simulation.summary import summary
from hpo_operator.simulation.timings import START_SECONDS, NoTimesError, timings_of
from hpo_operator.simulation.values import Curves, learnt_curves
from hpo_operator.studies.stored_objects import Source
from hpo_operator.studies.study_file import one_study

DRAWS = 20


class Form(StrEnum):
    TABLE, JSON = "table", "json"


@reads_objects
def simulate(
    file: Annotated[Path, typer.Argument(help="The study file.")],
    source: Source,
    gpus: Annotated[int | None, typer.Option(help="GPUs that the study's Pods share. Absent: enough.", min=1)] = None,
    seconds_per_epoch: Annotated[
        float | None,
        typer.Option(
            help="Of training, on average; or of another fidelity's unit; without a fidelity, of a trial.", min=0
        ),
    ] = None,
    earlier: Annotated[
        str,
        typer.Option("--from", help="A study that ran, whose times are taken instead."),
    ] = "",
    startup: Annotated[
        float | None,
        typer.Option(help=f"Seconds of a Pod before it trains. Absent: as in --from, else {STARTUP_SECONDS:g}.", min=0),
    ] = None,
    scheduling: Annotated[
        float | None,
        typer.Option(
            help=f"Seconds from a Pod's creation to its start. Absent: as in --from, else {START_SECONDS:g}.", min=0
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="Simulations, each with values of its own.", min=1, max=1000)] = DRAWS,
    output: Annotated[Form, typer.Option("--output", "-o", help="How to write it.")] = Form.TABLE,
) -> None:
    """What a study will cost: GPU-hours, time, Pods. Its real decisions in a simulated cluster, with random results.

    --state, --objects, --cluster and --namespace say where the study of --from is.

    Examples: hpo simulate study.yaml --seconds-per-epoch 40 --gpus 4; hpo simulate study.yaml --from pilot
    """
    raw = one_study(file)
    study = parse_study(raw)
    places = _places(study, gpus)
    costs, curves = _costs(study, source, seconds_per_epoch, earlier, startup)
    if scheduling is not None:
        costs = replace(costs, start_seconds=scheduling)
    found = summary(forecast(raw, costs, range(draws), places, curves), pod_gpus(study))
    if output is Form.JSON:
        said = {"study": study.name, "gpus": gpus, "assumptions": list(assumptions(study, costs, earlier))}
        typer.echo(json.dumps(said | found.as_json(), indent=2))
        return
    typer.echo(table_of(study, found), nl=False)
    for sentence in (*sentences_of(study, found, gpus), *assumptions(study, costs, earlier)):
        typer.echo(sentence)


def _places(study: Study, gpus: int | None) -> int | None:
    """Pods that run at once on so many GPUs. Raises Mistake."""
    if study.spec.budget.parallelism == 0:
        raise Mistake("spec.budget.parallelism: expected at least 1 to simulate, found 0: no trial would begin")
    each = pod_gpus(study)
    if gpus is None:
        return None
    if each == 0:
        raise Mistake(
            f"--gpus {gpus}: the study's Pods ask for none; "
            "leave it out, or give spec.trainer.resources.limits an entry such as nvidia.com/gpu: 1"
        )
    if gpus < each:
        raise Mistake(f"--gpus {gpus}: each Pod of the study holds {count(each, 'GPU')}, none would ever start")
    return gpus // each


def _costs(
    study: Study, source: Source, stated: float | None, earlier: str, startup: float | None
) -> tuple[StatedCosts | MeasuredCosts, Curves | None]:
    """And what an earlier study tells of the objective, where it had the same. Raises Mistake."""
    if (stated is None) == (not earlier):
        found = "both" if earlier else "neither"
        raise Mistake(f"expected either --seconds-per-epoch or --from STUDY, found {found}")
    if stated is not None:
        return StatedCosts(stated, STARTUP_SECONDS if startup is None else startup), None
    found_objects = found_study(source, earlier)
    stored = understood(found_objects.study, found_objects.trials, datetime.now(UTC))
    try:
        costs = costs_of(timings_of(stored.object, stored.objects, found_objects.pods, study.spec), startup)
    except NoTimesError as error:
        raise Mistake(f"--from {earlier}: {error}") from None
    same = (stored.study.objective.metric, stored.study.objective.maximize) == (
        study.spec.objective.metric,
        study.spec.objective.direction == "Maximize",
    )
    return costs, learnt_curves(engine_study(study.spec), stored.study, stored.trials) if same else None
