"""The two halves of a study's life on a real API server: observe it, and perform actions on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.kube.client import JSON_PATCH, MERGE_PATCH, ApiServer
from hpo_operator.kube.errors import ConflictError, NotFoundError
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

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class StudyKey:
    """The one way to say which study is meant."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


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
    """A Cluster by the Kubernetes API. Reads are consistent lists, so that no cache can be behind its own writes."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    async def observe(self, key: StudyKey) -> Snapshot | None:
        try:
            study = await self._server.request("GET", f"{_studies(key.namespace)}/{key.name}")
        except NotFoundError:
            return None
        if "deletionTimestamp" in study["metadata"]:
            return None
        mine = {"labelSelector": f"{names.STUDY_LABEL}={key.name}"}
        trials = await self._server.request("GET", _trials(key.namespace), query=mine)
        pods = await self._server.request("GET", _pods(key.namespace), query=mine)
        uid = study["metadata"]["uid"]
        owned, strays = owned_and_strays(study, trials["items"])
        uids = {uid} | {trial["metadata"]["uid"] for trial in owned}
        return Snapshot(study, owned, tuple(pod for pod in pods["items"] if _owner_uid(pod) in uids), strays=strays)

    async def perform(self, study: Raw, action: Action, now: datetime) -> None:
        space = study["metadata"]["namespace"]
        match action:
            case CreateTrial(manifest):
                await self._create(_trials(space), manifest)
            case CreatePod(manifest):
                await self._create(_pods(space), manifest)
            case DeletePod(name):
                await self._unless_gone("DELETE", f"{_pods(space)}/{name}", None, "application/json")
            case PatchTrialSpec(name, changes):
                await self._unless_gone("PATCH", f"{_trials(space)}/{name}", {"spec": changes}, MERGE_PATCH)
            case AdoptTrial(name, metadata, spec):
                body = {"metadata": metadata, "spec": spec}
                await self._unless_gone("PATCH", f"{_trials(space)}/{name}", body, MERGE_PATCH)
            case PutTrialStatus(name, status):
                await self._unless_gone(
                    "PATCH", f"{_trials(space)}/{name}/status", [_status(status.dump())], JSON_PATCH
                )
            case PutStudyStatus(status):
                same = {"op": "test", "path": "/metadata/uid", "value": study["metadata"]["uid"]}
                path = f"{_studies(space)}/{study['metadata']['name']}/status"
                await self._unless_gone("PATCH", path, [same, _status(status.dump())], JSON_PATCH)
            case RecordEvent():
                await self._create(f"/api/v1/namespaces/{space}/events", event_manifest(study, action, now))

    async def _create(self, path: str, manifest: Raw) -> None:
        try:
            await self._server.request("POST", path, body=manifest, query={"fieldManager": names.FIELD_MANAGER})
        except ConflictError as error:
            if "AlreadyExists" not in error.message and "already exists" not in error.message:
                raise

    async def _unless_gone(self, method: str, path: str, body: object | None, content_type: str) -> None:
        try:
            await self._server.request(method, path, body=body, content_type=content_type)
        except NotFoundError:
            return


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


def _owner_uid(raw: Raw) -> str | None:
    return next((o["uid"] for o in raw["metadata"].get("ownerReferences") or [] if o.get("controller")), None)


def _studies(namespace: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/hpostudies"


def _trials(namespace: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/hpotrials"


def _pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"
