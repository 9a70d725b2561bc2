"""A study and its trials from wherever they are stored: a folder of ``hpo run``, a file of kubectl, a cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_operator.local.store import ObjectStore
from hpo_operator.manifests.names import STUDY_LABEL
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.cluster import Space, connected
from hpo_operator.studies.study_file import read_study_files

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class RawObjects:
    """``where`` it was found, for sentences. ``folder``: of a study that ran on this machine; only it has Pods here."""

    where: str
    study: Raw
    trials: Sequence[Raw]
    pods: Sequence[Raw] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class Source:
    """Where it is: in ``objects`` (a file that kubectl wrote) or in the ``cluster`` if given; else below ``state``.

    ``namespace`` of the cluster; empty: of kubectl's context.
    """

    state: Path
    objects: Path | None = None
    cluster: bool = False
    namespace: str = ""

    def read(self, target: str) -> RawObjects:
        """The study of that name; below ``state`` also that of a folder or of a study file. Nothing is checked.

        Raises:
            Mistake: there is no such study, or it cannot be read.
        """
        if self.objects is not None:
            return RawObjects(str(self.objects), *_of_file(self.objects, target))
        if self.cluster:
            return asyncio.run(of_cluster(self.namespace, target))
        return of_folder(study_folder(target, self.state))

    def studies(self) -> list[Raw]:
        """All studies there, without their trials, by name.

        Raises:
            Mistake: one of them, or the place, cannot be read.
        """
        if self.objects is not None:
            found = [o for o in _documents(self.objects) if o.get("kind") == "HPOStudy"]
        elif self.cluster:
            found = asyncio.run(_studies_of_cluster(self.namespace))
        else:
            found = [_json(path) for path in self.state.glob("*/study/*.json")]
        return sorted(found, key=lambda study: str(_field(study, "name")))


def of_folder(folder: Path) -> RawObjects:
    """The study that ``hpo run`` keeps in the folder. Raises Mistake."""
    try:
        store = ObjectStore(folder)
        studies, trials, pods = map(store.all, ("study", "trials", "pods"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Mistake(f"{folder}: expected objects that `hpo run` wrote, found others ({error})") from None
    if not studies:
        raise Mistake(f"{folder}: the study is gone")
    return RawObjects(str(folder), studies[0], trials, pods, folder)


def _json(path: Path) -> Raw:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Mistake(f"{path}: expected an object that `hpo run` wrote: {error}") from None
    return found if isinstance(found, dict) else {}


def study_folder(target: str, state: Path) -> Path:
    """The folder ``target``, or the one below ``state`` of that name or of the study in the file ``target``.

    Raises:
        Mistake: nothing is stored there.
    """
    name = _name_in(Path(target)) if Path(target).is_file() else target
    for folder in (Path(name), state / name):
        if any(folder.glob("study/*.json")):
            return folder
    raise Mistake(
        f"{target}: expected the folder of a study that `hpo run` wrote, or the name of one below {state}; "
        f"found no study/*.json in {name} or {state / name}"
    )


def _name_in(path: Path) -> str:
    try:
        return str(read_study_files(path)[0]["metadata"]["name"])
    except (KeyError, TypeError):
        raise Mistake(f"{path}: expected a study with metadata.name, found none") from None


def _of_file(path: Path, target: str) -> tuple[Raw, list[Raw]]:
    found = _documents(path)
    studies = [o for o in found if o.get("kind") == "HPOStudy" and _field(o, "name") == target]
    if len(studies) != 1:
        raise Mistake(f"{path}: expected one HPOStudy {target}, found {len(studies)}")
    return studies[0], [o for o in found if o.get("kind") == "HPOTrial" and belongs(o, studies[0])]


def _documents(path: Path) -> list[Raw]:
    return list(_flat(read_study_files(path)))


def _flat(documents: Sequence[Raw]) -> Iterator[Raw]:
    """Objects, also those inside lists as ``kubectl get`` writes them."""
    for document in documents:
        items = document.get("items")
        yield from (o for o in items if isinstance(o, Mapping)) if isinstance(items, list) else (document,)


async def of_cluster(namespace: str, name: str, kubeconfig: str | None = None) -> RawObjects:
    """A study and the trials that it owns; see ``connected``. Raises Mistake."""
    async with connected(namespace, name, kubeconfig) as space:
        return await of_space(space, name)


async def of_space(space: Space, name: str) -> RawObjects:
    """The same by a connection that is there. Raises ClusterError."""
    study = await space.study(name)
    mine = {"labelSelector": f"{STUDY_LABEL}={name}"}
    trials = await space.server.request("GET", space.trials(), query=mine)
    return RawObjects(f"{space.namespace}/{name}", study, [trial for trial in trials["items"] if belongs(trial, study)])


async def _studies_of_cluster(namespace: str) -> list[Raw]:
    async with connected(namespace) as space:
        return list((await space.server.request("GET", space.studies()))["items"])


def belongs(trial: Raw, study: Raw) -> bool:
    """Whether the study owns the trial: an earlier study of this name may have left some behind."""
    owners = _field(trial, "ownerReferences") or []
    return any(owner.get("uid") == _field(study, "uid") for owner in owners if isinstance(owner, Mapping))


def _field(raw: Raw, name: str) -> Any:
    meta = raw.get("metadata")
    return meta.get(name) if isinstance(meta, Mapping) else None
