"""``hpo list``, ``show``, ``trials`` and ``best``: what studies are, without reading JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, get_args

import typer

from hpo_operator.api.trial import TrialPhase
from hpo_operator.api.words import did_you_mean
from hpo_operator.cli.options import StudyArgument, found_study, reads_objects
from hpo_operator.cli.written import Format, written
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.objects import StudyObjects, find_studies
from hpo_operator.studies.records import Record, best_first, study_record, trial_record
from hpo_operator.studies.stored_objects import Source
from hpo_operator.studies.study_file import yaml_text

FormatOption = Annotated[Format, typer.Option("--output", "-o", help="How to write it.")]
COLUMNS = ("trial", "phase", "reason", "value", "resource", "parameters")
NONE = "no study there; `hpo run study.yaml` makes one, --state, --objects and --cluster look elsewhere"
COUNTED = ("running", "pending", "waiting", "succeeded", "failed", "stopped")
LIST_COLUMNS = ("study", "phase", "algorithm", "metric", "best", "bestTrial", "progress", "failed", "reason")


class BestFormat(StrEnum):
    YAML, JSON, PARAMS = "yaml", "json", "params"


@reads_objects
def list_studies(
    source: Source,
    output: FormatOption = Format.TABLE,
) -> None:
    """All studies in the state folder, in a file of objects, or in a namespace of the cluster.

    Examples: hpo list -o json; hpo list --cluster -n research
    """
    found = find_studies(source)
    if not found and output is Format.TABLE:
        typer.echo(NONE, err=True)
        return
    typer.echo(written([study_record(one) for one in found], output, LIST_COLUMNS), nl=False)


@reads_objects
def show(
    study: StudyArgument,
    source: Source,
) -> None:
    """How a study stands: in words, its best configuration, its trials, its conditions.

    Example: hpo show brain-tissue
    """
    typer.echo("\n".join(_shown(found_study(source, study))))


@reads_objects
def trials(
    study: StudyArgument,
    source: Source,
    sort: Annotated[str, typer.Option(help="A field, such as index, value (the best first) or seconds.")] = "index",
    only: Annotated[list[str], typer.Option("--filter", help="A phase: failed, running, ...; may be repeated.")] = [],  # noqa: B006
    output: FormatOption = Format.TABLE,
) -> None:
    """All trials of a study. CSV, JSON and YAML have more fields than the table: metrics, times, messages.

    Examples: hpo trials brain-tissue --sort value; hpo trials brain-tissue --filter failed -o yaml
    """
    found = found_study(source, study)
    records = _sorted(_filtered([trial_record(trial) for trial in found.trials], only), sort, _maximizes(found))
    if not records and output is Format.TABLE:
        typer.echo("no trial" + (f" is {' or '.join(only)}" if only else " yet"), err=True)
        return
    typer.echo(written(records, output, COLUMNS), nl=False)


@reads_objects
def best(
    study: StudyArgument,
    source: Source,
    output: Annotated[
        BestFormat, typer.Option("--output", "-o", help="params: NAME=VALUE lines that a shell can read.")
    ] = BestFormat.YAML,
) -> None:
    """The best configuration so far. Exit code 1 while there is none.

    Example: hpo best brain-tissue -o params
    """
    found = found_study(source, study)
    incumbent = (found.study.get("status") or {}).get("best")
    if not incumbent:
        typer.echo(f"{found.name}: no trial has measured a value yet", err=True)
        raise typer.Exit(1)
    if output is BestFormat.PARAMS:
        for name, value in incumbent["parameters"].items():
            typer.echo(f"{name}={shlex.quote(str(value))}")
    elif output is BestFormat.JSON:
        typer.echo(json.dumps(incumbent, indent=2))
    else:
        typer.echo(yaml_text(incumbent), nl=False)


def _shown(found: StudyObjects) -> Iterator[str]:
    status = found.study.get("status") or {}
    record = study_record(found)
    yield f"{found.name}   {record['algorithm']}".rstrip()
    yield f"{record['phase']}: {status.get('message') or 'not yet looked at'}" + (
        f" ({record['reason']})" if record["reason"] else ""
    )
    yield from _best_lines(found, status)
    numbers = status.get("trials") or {}
    described = ", ".join(f"{numbers[key]} {key}" for key in COUNTED if numbers.get(key))
    yield f"trials: {record['progress'] or '0'} ended" + (f" ({described})" if described else "")
    yield f"cost: {status.get('gpuHours', 0.0):.3g} GPU-hours; from {status.get('startTime') or 'not started'}" + (
        f" to {status['completionTime']}" if status.get("completionTime") else ""
    )
    for condition in status.get("conditions") or []:
        yield f"  {condition['type']:<12} {condition['status']:<8} {condition['reason']}"


def _best_lines(found: StudyObjects, status: dict[str, Any]) -> Iterator[str]:
    incumbent = status.get("best")
    if not incumbent:
        yield "best: none, no trial has measured a value yet"
        return
    unit = found.unit
    reached = f" after {incumbent['resource']} {unit}" if incumbent.get("resource") else ""
    metric = found.objective.get("metric", "")
    yield f"best: {metric} {incumbent['value']:.6g}{reached}, by {incumbent['trial']}"
    for name, value in incumbent["parameters"].items():
        yield f"  {name} = {value}"


def _maximizes(found: StudyObjects) -> bool:
    return found.objective.get("direction") == "Maximize"


def _filtered(records: list[Record], phases: list[str]) -> list[Record]:
    known = [phase.lower() for phase in get_args(TrialPhase)]
    wanted = {name.lower() for name in phases}
    for name in sorted(wanted - set(known)):
        raise Mistake(f"--filter {name}: expected one of {', '.join(known)}")
    return [record for record in records if not wanted or str(record["phase"]).lower() in wanted]


def _sorted(records: list[Record], field: str, maximize: bool) -> list[Record]:
    if field == "value":
        return best_first(records, maximize)
    fields = [key for key in records[0] if not isinstance(records[0][key], dict)] if records else [field]
    if field not in fields:
        close = did_you_mean(field, fields)
        hint = f"did you mean {close}?" if close else f"expected one of {', '.join(fields)}"
        raise Mistake(f"--sort {field}: no such field; {hint}")
    return sorted(records, key=lambda record: (record[field] is None, record[field]))
