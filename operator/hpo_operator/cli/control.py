"""``hpo suspend``, ``resume``, ``scale`` and ``delete``: a study of the cluster while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study
from hpo_operator.cli.options import NamespaceOption, sentences
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.cluster import connected

Raw = Mapping[str, Any]
NameArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study of the cluster.")]


def suspend(study: NameArgument, namespace: NamespaceOption = "") -> None:
    """Give all Pods of a study back, each after its checkpoint. `hpo resume` goes on from there.

    Example: hpo suspend brain-tissue -n research
    """
    with sentences():
        told = asyncio.run(_suspended(study, namespace, True))
    typer.echo(told)


def resume(study: NameArgument, namespace: NamespaceOption = "") -> None:
    """Go on with a suspended study: the same trials, from their checkpoints.

    Example: hpo resume brain-tissue -n research
    """
    with sentences():
        told = asyncio.run(_suspended(study, namespace, False))
    typer.echo(told)


def scale(
    study: NameArgument,
    parallelism: Annotated[int | None, typer.Option(help="Trials that run at the same time; 0: none begins.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials of the budget, those that ended counted in.")] = None,
    namespace: NamespaceOption = "",
) -> None:
    """Change how many trials run at the same time, or how many there will be. Running ones are not stopped.

    Example: hpo scale brain-tissue --parallelism 8 --trials 60
    """
    with sentences():
        if parallelism is None and trials is None:
            raise Mistake("scale: expected --parallelism or --trials, or both")
        asked = {"parallelism": parallelism, "trials": trials}
        told = asyncio.run(_scaled(study, namespace, {k: v for k, v in asked.items() if v is not None}))
    typer.echo(told)


def delete(
    study: NameArgument,
    namespace: NamespaceOption = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a study with its trials and its Pods. Checkpoints and data stay in their volumes.

    Example: hpo delete brain-tissue -n research --yes
    """
    with sentences():
        told = asyncio.run(_deleted(study, namespace, yes))
    typer.echo(told)


async def _suspended(name: str, namespace: str, wanted: bool) -> str:
    async with connected(namespace, name) as space:
        study = await space.study(name)
        where, was = f"{space.namespace}/{name}", bool(study["spec"].get("suspend"))
        if was is wanted:
            return f"{where} unchanged: it {'is suspended already' if wanted else 'was not suspended'}"
        await space.patch_study(name, {"suspend": wanted})
    what = "its Pods end after their checkpoints" if wanted else "its trials go on from their checkpoints"
    return f"{where} {'suspended' if wanted else 'resumed'}: {what}"


async def _scaled(name: str, namespace: str, budget: Mapping[str, int]) -> str:
    async with connected(namespace, name) as space:
        study = await space.study(name)
        where, old = f"{space.namespace}/{name}", dict(study["spec"].get("budget") or {})
        _require_valid(where, study, old | dict(budget))
        changes = [f"{key} {old.get(key)} -> {value}" for key, value in budget.items() if old.get(key) != value]
        if not changes:
            return f"{where} unchanged"
        if budget.keys() == {"parallelism"}:  # what an autoscaler may do as well, whose rights are these alone
            await space.patch_study(name, {"replicas": budget["parallelism"]}, "scale")
        else:
            await space.patch_study(name, {"budget": dict(budget)})
    return f"{where} scaled: {', '.join(changes)}"


def _require_valid(where: str, study: Raw, budget: Raw) -> None:
    """Raises Mistake where the study would be none with this budget; servers before 1.25 would take it."""
    try:
        parse_study({**study, "spec": {**study["spec"], "budget": budget}})
    except InvalidObject as error:
        raise Mistake("\n".join(f"{where}: {problem}" for problem in error.errors)) from None


async def _deleted(name: str, namespace: str, yes: bool) -> str:
    async with connected(namespace, name) as space:
        study = await space.study(name)
        where, status = f"{space.namespace}/{name}", study.get("status") or {}
        trials = (status.get("trials") or {}).get("total", 0)
        if not yes and not typer.confirm(f"Delete {where} ({status.get('phase', 'Pending')}) and its {trials} trials?"):
            return f"{where} unchanged"
        await space.delete_study(study)
    return f"{where} deleted"
