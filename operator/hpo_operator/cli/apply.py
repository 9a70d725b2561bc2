"""``hpo apply``: study files into the cluster, and what that changes there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hpo_operator.api.differences import Difference, differences
from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study
from hpo_operator.api.study import IMMUTABLE
from hpo_operator.api.words import listing
from hpo_operator.cli.options import NamespaceOption, sentences
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.cluster import Space, connected
from hpo_operator.studies.study_file import valid_studies

Raw = Mapping[str, Any]
APPLIED_METADATA = ("name", "labels", "annotations")
"""What of a file's metadata is the user's to say; a file may also be what ``kubectl get -o yaml`` wrote."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def apply(
    files: Annotated[list[Path], typer.Argument(help="Study files.")],
    namespace: NamespaceOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Have the cluster judge it, and change nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Take over fields that somebody else has set.")] = False,
) -> None:
    """Create studies in the cluster, or bring them up to date. Nothing is sent before all are valid.

    Example: hpo apply study.yaml -n research --dry-run
    """
    with sentences():
        studies = valid_studies(files)
        for path, study in studies:
            _require_namespace(path, study, namespace)
        for path, study in studies:
            asyncio.run(_apply(path, study, namespace, dry_run, force))


def _require_namespace(path: Path, study: Raw, namespace: str) -> None:
    named = study["metadata"].get("namespace")
    if named and namespace and named != namespace:
        raise Mistake(f"{path}: metadata.namespace: expected {namespace} as in --namespace, found {named}")


async def _apply(path: Path, study: Raw, namespace: str, dry_run: bool, force: bool) -> None:
    """Says what came of it. Raises Mistake."""
    name = study["metadata"]["name"]
    async with connected(study["metadata"].get("namespace") or namespace, name) as space:
        stored = await _stored(space, name)
        if stored is not None:
            _require_changeable(f"{path}: {space.namespace}/{name}", stored, study)
        applied = await _applied(space, path, study, dry_run, force)
    for line in _told(f"{space.namespace}/{name}", stored, study, applied, dry_run):
        typer.echo(line)


async def _stored(space: Space, name: str) -> Raw | None:
    from hpo_operator.kube.errors import NotFoundError

    try:
        return await space.study(name)
    except NotFoundError:
        return None


async def _applied(space: Space, path: Path, study: Raw, dry_run: bool, force: bool) -> Raw:
    """The study as it is stored now. Raises Mistake: somebody else has set one of its fields."""
    from hpo_operator.kube.errors import ConflictError

    metadata = {key: study["metadata"][key] for key in APPLIED_METADATA if study["metadata"].get(key)}
    body = {key: study[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}
    try:
        return await space.apply_study(body, force, dry_run)
    except ConflictError as error:
        raise Mistake(
            f"{path}: {space.namespace}/{metadata['name']}: {' '.join(error.message.split())}; "
            "leave these fields out of the file, or take them over with --force"
        ) from None


def _require_changeable(where: str, stored: Raw, wanted: Raw) -> None:
    """Raises Mistake where an accepted study would get another search: servers before 1.25 would not mind."""
    if stored["metadata"].get("deletionTimestamp"):
        raise Mistake(f"{where}: is being deleted; apply it again once it is gone")
    if not (stored.get("status") or {}).get("specDigests"):
        return
    try:
        old, new = (parse_study(study).spec.dump() for study in (stored, wanted))
    except InvalidObject:  # what is stored cannot be read, so that anything mends it
        return
    changed = [d for name in IMMUTABLE for d in differences(old.get(name), new.get(name), f"spec.{name}")]
    if changed:
        raise Mistake(
            "\n".join(f"{where}: {change}: may not change once the study was accepted" for change in changed)
            + "\ngive the study another name: a different search is a new study"
        )


def _told(where: str, stored: Raw | None, wanted: Raw, applied: Raw, dry_run: bool) -> Iterator[str]:
    would = " (dry run)" if dry_run else ""
    if stored is None:
        yield f"{where} created{would}"
        return
    changed = list(differences(_said(stored), _said(applied), ""))
    yield f"{where} {'changed' if changed else 'unchanged'}{would}" + "".join(f"\n  {change}" for change in changed)
    yield from _left(where, applied, wanted)


def _left(where: str, applied: Raw, wanted: Raw) -> Iterator[str]:
    """Server-side apply takes away only what was applied in this way before."""
    left: Sequence[Difference] = list(
        differences(parse_study(wanted).spec.dump(), parse_study(applied).spec.dump(), "spec")
    )
    if left:
        yield (
            f"warning: {where}: not in the file, but set by somebody else, and left as they are: "
            f"{listing(change.path for change in left)}"
        )


def _said(study: Raw) -> dict[str, Any]:
    """What a user says of a study."""
    metadata = {key: dict(study["metadata"].get(key) or {}) for key in ("labels", "annotations")}
    metadata["annotations"].pop(LAST_APPLIED, None)
    return {"metadata": metadata, "spec": study["spec"]}
