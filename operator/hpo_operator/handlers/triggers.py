"""What kopf watches, on one screen: studies, and trials that users make. A trigger decides nothing: it hands on what a
watch has seen. Labelled trials and Pods, of which there are thousands, have plain watches; see ``kube.watch``.

Only ``on.event`` handlers are used: they add no finalizer, no annotation and no memory of their own, so an object can
always be deleted, also when the operator is down. A trial that a user made gets its study's label, and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import kopf

from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.handlers.health import listening
from hpo_operator.kube.cluster import StudyKey
from hpo_operator.manifests.names import STUDY_LABEL

Tell = Callable[[StudyKey, str | None, Mapping[str, Any]], None]
"""What the watch says of a study: the type of the event and the object; type None: from a list of its own."""
Configure = Callable[[], Awaitable[Any]]


SILENCE_SECONDS = 75.0
"""A watch that is silent for longer is begun anew, from where it was: bookmarks come once a minute."""


def registry(tell: Tell, configure: Configure, hear: Callable[[str], None]) -> kopf.OperatorRegistry:
    """A registry whose triggers call ``tell``.

    ``configure``: the client's configuration, read anew at each login. ``hear``: told of every sign of life of a watch.
    """
    triggers = kopf.OperatorRegistry()

    @kopf.on.login(registry=triggers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return connection(await configure(), hear)

    @kopf.on.event(GROUP, VERSION, "hpostudies", registry=triggers)
    async def study_event(namespace: str | None, name: str | None, event: kopf.RawEvent, **_: Any) -> None:
        tell(StudyKey(str(namespace), str(name)), event["type"], event["object"])

    @kopf.on.event(GROUP, VERSION, "hpotrials", labels={STUDY_LABEL: kopf.ABSENT}, registry=triggers)
    async def unlabelled_trial_event(spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> None:
        """One that a user made: by the label its study finds it, and its next event wakes the study."""
        patch.metadata.labels[STUDY_LABEL] = spec["study"]

    return triggers


def connection(configuration: Any, hear: Callable[[str], None]) -> kopf.AiohttpSession:
    """The same server and credentials for kopf's watches as for our own requests."""
    scheme, _, token = (configuration.api_key.get("BearerToken") or "").rpartition(" ")
    info = kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        insecure=not configuration.verify_ssl,
    )
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        response_class=listening(hear),
    )
    return kopf.AiohttpSession(server=info.server, aiohttp_session=session)


class NoDiffs(kopf.DiffBaseStorage):
    """kopf keeps nothing on objects and compares nothing; the copies it makes for that were half of all the work."""

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        raise NotImplementedError("only handlers of changes store, and there are none")


def settings() -> kopf.OperatorSettings:
    """kopf without what this operator does not use: no scanning, no peering, no events of its own."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.networking.request_timeout = 60
    chosen.watching.server_timeout = 600
    chosen.watching.inactivity_timeout = SILENCE_SECONDS
    chosen.persistence.diffbase_storage = NoDiffs()
    chosen.watching.label_selectors["hpotrials"] = f"!{STUDY_LABEL}"  # which has a watch without kopf
    return chosen
