"""``hpo doctor``: is this cluster ready for studies, and for this one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpo_operator.api.parse import parse_study
from hpo_operator.api.study import Study
from hpo_operator.cli.options import FAILED, NamespaceOption, sentences
from hpo_operator.doctor.checks import findings
from hpo_operator.doctor.facts import Finding, State, Wanted
from hpo_operator.doctor.probe import any_study, first_pod
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.cluster import connected
from hpo_operator.studies.study_file import one_study

MARKS = {State.OK: ("✓", "green"), State.WARNING: ("!", "yellow"), State.FAILED: ("✗", "red")}
REACH = "is kubectl's context right, and the network? kubectl version says the same"


class Output(StrEnum):
    TEXT, JSON = "text", "json"


def doctor(
    namespace: NamespaceOption = "",
    study: Annotated[Path | None, typer.Option(help="A study's file: also what that study needs.")] = None,
    operator: Annotated[
        str, typer.Option(metavar="NAMESPACE/NAME", help="Of the operator's Deployment and Lease.")
    ] = "hpo-system/hpo-operator",
    output: Annotated[Output, typer.Option("--output", "-o", help="How to write it.")] = Output.TEXT,
) -> None:
    """Say whether the cluster is ready for studies: ✓, ! (works, but) or ✗, and what to do. Exit code 1 with a ✗.

    Changes nothing. Whether nodes can pull the images, and whether their drivers work, is not tried.

    Example: hpo doctor -n research --study study.yaml
    """
    with sentences():
        place = _place(operator)
        raw = one_study(study) if study is not None else None
        parsed = parse_study(raw) if raw is not None else None
        named = str(raw["metadata"].get("namespace") or "") if raw is not None else ""
        found = _examined(namespace or named, place, parsed)
    typer.echo(_json(found)) if output is Output.JSON else _print(found)
    raise typer.Exit(FAILED if any(each.state is State.FAILED for each in found) else 0)


def _place(operator: str) -> tuple[str, str]:
    namespace, _, name = operator.partition("/")
    if not namespace or not name:
        raise Mistake(f"--operator {operator}: expected NAMESPACE/NAME")
    return namespace, name


def _examined(namespace: str, operator: tuple[str, str], study: Study | None) -> Sequence[Finding]:
    """A cluster that does not answer is a finding."""
    try:
        return asyncio.run(_examine(namespace, operator, study))
    except Mistake as mistake:
        return [Finding("API server", State.FAILED, str(mistake), REACH)]


async def _examine(namespace: str, operator: tuple[str, str], study: Study | None) -> Sequence[Finding]:
    # Imported here, since the client takes a quarter of a second, which `--help` does not pay.
    from hpo_operator.cli.doctor_facts import gather_facts

    async with connected(namespace) as space:
        some = study if study is not None else any_study(space.namespace)
        some = some.model_copy(update={"namespace": space.namespace})
        wanted = Wanted(space.namespace, operator, study, first_pod(some), max(1, some.spec.budget.parallelism))
        return list(findings(await gather_facts(space, wanted), wanted))


def _json(found: Sequence[Finding]) -> str:
    return json.dumps([asdict(each) for each in found], indent=2)


def _print(found: Sequence[Finding]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    for each in found:
        mark, colour = MARKS[each.state]
        text = Text(each.message)
        if each.advice:
            text.append(f"\n-> {each.advice}", style="dim")
        table.add_row(Text(mark, style=colour), Text(each.check, style="bold"), text)
    Console().print(table, highlight=False)
