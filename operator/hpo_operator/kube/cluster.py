"""The two halves of a study's life on a real API server: observe it, and perform actions on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.kube.client import JSON_PATCH, MERGE_PATCH, ApiServer
from hpo_operator.kube.errors import ClusterError, ConflictError, NotFoundError
from hpo_operator.kube.lists import StudyLists, folder
from hpo_operator.kube.mirror import Kind, Raw, StudyMirror, Versions, is_known
from hpo_operator.manifests import names
from hpo_operator.reconcile.actions import (
    Action,
    AdoptTrial,
    CreatePod,
    CreateTrial,
    DeletePod,
    PatchTrialSpec,
    PutStudyStatus,
    PutTrialStatus,
    RecordEvent,
)
from hpo_operator.reconcile.clock import to_text
from hpo_operator.reconcile.manual_trials import owned_and_strays
from hpo_operator.reconcile.snapshot import Snapshot
from hpo_operator.reconcile.trial_state import awaited_pod

log = logging.getLogger(__name__)

ObjectAction = CreateTrial | PatchTrialSpec | AdoptTrial | PutTrialStatus | CreatePod | DeletePod | PutStudyStatus


@dataclass(frozen=True)
class StudyKey:
    """The one way to say which study is meant."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


LIST_SECONDS = 60.0
"""All studies are listed this often even if nothing is in doubt, so that an event lost anywhere costs a minute ..."""
LIST_SHARE = 0.02
"""... but no more than this share of the time goes into such lists."""


class Cluster(Protocol):
    """What a study is observed in and acted upon: the API server here, an in-memory one in ``local``."""

    async def observe(self, key: StudyKey) -> Snapshot | None:
        """The study with everything that belongs to it, or None when it is gone."""
        ...

    async def perform(self, study: Raw, action: Action, now: datetime) -> None:
        """Do it, unless it is done already.

        Raises:
            RefusedError: the object is not accepted as it is.
            TemporaryError: try again later.
        """
        ...


class KubeCluster:
    """A Cluster by the Kubernetes API. It is observed in mirrors, which are never behind its own writes."""

    def __init__(self, server: ApiServer) -> None:
        self._server, self._lists = server, StudyLists(server)
        self._mirrors: dict[StudyKey, StudyMirror] = {}
        self._left: dict[StudyKey, Versions] = {}
        self._watch_listed = asyncio.Event()

    def learn(self, key: StudyKey, kind: Kind, event: str | None, raw: Raw) -> bool:
        """What a watch tells of an object of the study; whether it is news.

        Of a study that nobody looks at it is, unless it is what was there when somebody last did, or the end of a
        trial's Pod: echoes of the last writes to a study that ended would have it listed again, and so would each of
        the Pods that were deleted last.

        ``event`` None: the watch had to list anew, and what was deleted before, nobody will tell. All is compared soon.
        """
        mirror = self._mirrors.get(key)
        if event is None and mirror is not None:
            self._watch_listed.set()
        if mirror is None:
            if kind == "pods" and event == "DELETED" and names.TRIAL_LABEL in (raw["metadata"].get("labels") or {}):
                return False
            return not is_known(self._left.get(key, {}), kind, event, raw)
        return mirror.put_event(kind, event, raw)

    def forget(self, key: StudyKey) -> None:
        """Nobody looks at this study any more."""
        mirror = self._mirrors.pop(key, None)
        if mirror is not None:
            self._left[key] = mirror.versions()

    async def keep_comparing(self, tell: Callable[[StudyKey], None], seconds: float = LIST_SECONDS) -> None:
        """For ever: list what is observed, every ``seconds`` or less often, and soon after a watch had to list anew.

        ``tell``: of studies that it brings news of.
        """
        loop = asyncio.get_running_loop()
        took = 0.0
        while True:
            await asyncio.sleep(took)  # at most half of the time, even if watches list again and again
            with suppress(TimeoutError):
                async with asyncio.timeout(max(seconds, took / LIST_SHARE)):
                    await self._watch_listed.wait()
            self._watch_listed.clear()
            began = loop.time()
            for namespace in sorted({key.namespace for key in self._mirrors}):
                for name in await self._compared(namespace):
                    tell(StudyKey(namespace, name))
            took = loop.time() - began

    async def _compared(self, namespace: str) -> list[str]:
        mirrors = {key.name: mirror for key, mirror in self._mirrors.items() if key.namespace == namespace}
        try:
            return await self._lists.compare(namespace, mirrors)
        except ClusterError as error:
            log.warning("namespace %s: not listed, and will be with the next lists: %s", namespace, error.message)
            return []

    async def observe(self, key: StudyKey) -> Snapshot | None:
        mirror = self._mirrors.setdefault(key, StudyMirror())
        self._left.pop(key, None)
        if mirror.in_doubt:
            await self._lists.fill(key.namespace, key.name, mirror)
        for kind, name in tuple(mirror.doubts):
            await self._lists.check(key.namespace, kind, name, mirror)
        found = next(iter(mirror.entries("hpostudies")), None)
        if found is None or "deletionTimestamp" in found.raw["metadata"]:
            self._mirrors.pop(key)
            return None
        owned = [trial for trial in mirror.entries("hpotrials") if trial.owner == found.uid]
        others = [trial.raw for trial in mirror.entries("hpotrials") if trial.owner != found.uid]
        adopted, strays = owned_and_strays(found.raw, others)
        owners = {found.uid, *(trial.uid for trial in owned), *(raw["metadata"]["uid"] for raw in adopted)}
        pods = tuple(pod.raw for pod in mirror.entries("pods") if pod.owner in owners)
        departed = tuple(_departed(mirror))
        return Snapshot(found.raw, (*(trial.raw for trial in owned), *adopted), pods, departed=departed, strays=strays)

    async def perform(self, study: Raw, action: Action, now: datetime) -> None:
        key = StudyKey(study["metadata"]["namespace"], study["metadata"]["name"])
        mirror = self._mirrors.setdefault(key, StudyMirror())
        if isinstance(action, RecordEvent):
            await self._write(key.namespace, study, action, now)
            return
        kind, name = _object_of(study, action)
        mirror.doubts.add((kind, name))  # until it is known what came of it
        written = await self._write(key.namespace, study, action, now)
        if written is not None and written["kind"] != "Status":
            mirror.put_written(kind, written)
            mirror.doubts.discard((kind, name))

    async def _write(self, space: str, study: Raw, action: Action, now: datetime) -> Raw | None:
        """The object as it is stored now; None where it was there or gone already."""
        match action:
            case CreateTrial(manifest):
                return await self._create(folder("hpotrials", space), manifest)
            case CreatePod(manifest):
                return await self._create(folder("pods", space), manifest)
            case DeletePod(name):
                return await self._unless_gone("DELETE", f"{folder('pods', space)}/{name}", None, "application/json")
            case PatchTrialSpec(name, changes):
                return await self._unless_gone(
                    "PATCH", f"{folder('hpotrials', space)}/{name}", {"spec": changes}, MERGE_PATCH
                )
            case AdoptTrial(name, metadata, spec):
                body: object = {"metadata": metadata, "spec": spec}
                return await self._unless_gone("PATCH", f"{folder('hpotrials', space)}/{name}", body, MERGE_PATCH)
            case PutTrialStatus(name, status):
                body = [_status(status.dump())]
                return await self._unless_gone("PATCH", f"{folder('hpotrials', space)}/{name}/status", body, JSON_PATCH)
            case PutStudyStatus(status):
                same = {"op": "test", "path": "/metadata/uid", "value": study["metadata"]["uid"]}
                path = f"{folder('hpostudies', space)}/{study['metadata']['name']}/status"
                return await self._unless_gone("PATCH", path, [same, _status(status.dump())], JSON_PATCH)
            case RecordEvent():
                return await self._create(f"/api/v1/namespaces/{space}/events", event_manifest(study, action, now))

    async def _create(self, path: str, manifest: Raw) -> Raw | None:
        query = {"fieldManager": names.FIELD_MANAGER}
        try:
            created: Raw = await self._server.request("POST", path, body=manifest, query=query)
        except ConflictError as error:
            if "AlreadyExists" not in error.message and "already exists" not in error.message:
                raise
            return None
        return created

    async def _unless_gone(self, method: str, path: str, body: object | None, content_type: str) -> Raw | None:
        query = {"fieldManager": names.FIELD_MANAGER} if method == "PATCH" else None
        try:
            changed: Raw = await self._server.request(method, path, body=body, query=query, content_type=content_type)
        except NotFoundError:
            return None
        return changed


def _departed(mirror: StudyMirror) -> Iterator[Raw]:
    """Pods that went and whose trials do not know yet; the others are released."""
    for pod in mirror.departed():
        trial = mirror.get("hpotrials", pod.raw["metadata"]["labels"].get(names.TRIAL_LABEL, ""))
        if trial is not None and trial.uid == pod.owner and awaited_pod(trial.raw) == pod.name:
            yield pod.raw
        else:
            mirror.release(pod.name)


def event_manifest(study: Raw, event: RecordEvent, now: datetime) -> dict[str, Any]:
    """A core/v1 Event about the study, for ``kubectl describe``."""
    meta = study["metadata"]
    at = to_text(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": names.event_name(meta["name"], meta["uid"], event.reason, event.message),
            "namespace": meta["namespace"],
        },
        "involvedObject": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "HPOStudy",
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:1000],
        "source": {"component": names.FIELD_MANAGER},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def _status(value: dict[str, Any]) -> dict[str, Any]:
    """``add`` replaces the whole status, also parts that a merge would leave behind."""
    return {"op": "add", "path": "/status", "value": value}


def _object_of(study: Raw, action: ObjectAction) -> tuple[Kind, str]:
    """What an action writes."""
    match action:
        case CreateTrial(manifest):
            return "hpotrials", manifest["metadata"]["name"]
        case PatchTrialSpec(name) | AdoptTrial(name) | PutTrialStatus(name):
            return "hpotrials", name
        case CreatePod(manifest):
            return "pods", manifest["metadata"]["name"]
        case DeletePod(name):
            return "pods", name
        case PutStudyStatus():
            return "hpostudies", study["metadata"]["name"]
