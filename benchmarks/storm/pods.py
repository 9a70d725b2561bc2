"""What really happened to the Pods of a study, by a watch of its own on the API server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hpo_operator.manifests.names import STUDY_LABEL, TRIAL_LABEL
from stand.api import Api


@dataclass
class Life:
    """A Pod from its start to its end, as its node reports them; ``gone``: when its object went."""

    trial: str
    started: datetime | None = None
    finished: datetime | None = None
    gone: datetime | None = None

    @property
    def seconds(self) -> float:
        """How long its container ran; without a word of the node until its object went."""
        end = self.finished or self.gone
        return 0.0 if self.started is None or end is None else max(0.0, (end - self.started).total_seconds())


class Lives:
    """All Pods of one study by name; filled while ``follow`` runs."""

    def __init__(self, api: Api, namespace: str, study: str) -> None:
        self._api, self._path = api, f"/api/v1/namespaces/{namespace}/pods"
        self._mine = {"labelSelector": f"{STUDY_LABEL}={study}"}
        self.pods: dict[str, Life] = {}

    def running(self) -> list[str]:
        return [name for name, life in self.pods.items() if life.started and not (life.finished or life.gone)]

    async def follow(self) -> None:
        """Until it is cancelled."""
        version = (await self._api.get(self._path, self._mine))["metadata"]["resourceVersion"]
        while True:
            async for event in self._api.watch(self._path, self._mine | {"resourceVersion": version}):
                version = event["object"]["metadata"]["resourceVersion"]
                self._note(event["object"], event["type"] == "DELETED")

    def _note(self, pod: dict[str, Any], gone: bool) -> None:
        meta = pod["metadata"]
        life = self.pods.setdefault(meta["name"], Life(meta["labels"][TRIAL_LABEL]))
        for container in (pod.get("status") or {}).get("containerStatuses") or []:
            state = container.get("state") or {}
            now = state.get("running") or state.get("terminated") or {}
            life.started = _time(now.get("startedAt")) or life.started
            life.finished = _time(now.get("finishedAt")) or life.finished
        if gone:
            life.gone = datetime.now(UTC)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
