"""Every trigger of the operator, on one screen. A trigger decides nothing: it names the study to look at.

Only ``on.event`` handlers are used: they add no finalizer, no annotation and no memory of their own, so an object can
always be deleted, also when the operator is down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.kube.cluster import StudyKey
from hpo_operator.manifests.names import STUDY_LABEL

Wake = Callable[[StudyKey], None]
Configure = Callable[[], Awaitable[Any]]


def registry(wake: Wake, configure: Configure) -> kopf.OperatorRegistry:
    """A registry whose triggers call ``wake``. ``configure``: the client's configuration, read anew at each login."""
    triggers = kopf.OperatorRegistry()
    labelled: dict[str, Any] = {STUDY_LABEL: kopf.PRESENT}

    @kopf.on.login(registry=triggers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return connection(await configure())

    @kopf.on.event(GROUP, VERSION, "hpostudies", registry=triggers)
    async def study_event(namespace: str | None, name: str | None, **_: Any) -> None:
        wake(StudyKey(str(namespace), str(name)))

    @kopf.on.event(GROUP, VERSION, "hpotrials", labels=labelled, registry=triggers)
    async def trial_event(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        wake(StudyKey(str(namespace), labels[STUDY_LABEL]))

    @kopf.on.event(GROUP, VERSION, "hpotrials", labels={STUDY_LABEL: kopf.ABSENT}, registry=triggers)
    async def unlabelled_trial_event(spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> None:
        """One that a user made: by the label its study finds it, and its next event wakes the study."""
        patch.metadata.labels[STUDY_LABEL] = spec["study"]

    @kopf.on.event("v1", "pods", labels=labelled, registry=triggers)
    async def pod_event(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        wake(StudyKey(str(namespace), labels[STUDY_LABEL]))

    return triggers


def connection(configuration: Any) -> kopf.ConnectionInfo:
    """The same server and credentials for kopf's watches as for our own requests."""
    scheme, _, token = (configuration.api_key.get("BearerToken") or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        insecure=not configuration.verify_ssl,
    )


def settings() -> kopf.OperatorSettings:
    """kopf without what this operator does not use: no scanning, no peering, no events of its own."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.networking.request_timeout = 60
    chosen.watching.server_timeout = 600
    return chosen
