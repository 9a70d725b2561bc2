"""Every trigger of the operator, on one screen. A trigger decides nothing: it names the study to look at.

Only ``on.event`` handlers are used: they add no finalizer, no annotation and no memory of their own, so an object can
always be deleted, also when the operator is down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.kube.cluster import StudyKey
from hpo_operator.manifests.names import STUDY_LABEL

Wake = Callable[[StudyKey], None]


def registry(wake: Wake) -> kopf.OperatorRegistry:
    """A registry whose triggers call ``wake``."""
    triggers = kopf.OperatorRegistry()
    labelled: dict[str, Any] = {STUDY_LABEL: kopf.PRESENT}

    @kopf.on.event(GROUP, VERSION, "hpostudies", registry=triggers)
    async def study_event(namespace: str | None, name: str | None, **_: Any) -> None:
        wake(StudyKey(str(namespace), str(name)))

    @kopf.on.event(GROUP, VERSION, "hpotrials", labels=labelled, registry=triggers)
    async def trial_event(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        wake(StudyKey(str(namespace), labels[STUDY_LABEL]))

    @kopf.on.event("v1", "pods", labels=labelled, registry=triggers)
    async def pod_event(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        wake(StudyKey(str(namespace), labels[STUDY_LABEL]))

    return triggers


def settings() -> kopf.OperatorSettings:
    """kopf without what this operator does not use: no scanning, no peering, no events of its own."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.networking.request_timeout = 60
    chosen.watching.server_timeout = 600
    return chosen
